"""Fusion: several encoded modalities to one vector, one file per family; the contract is in ``base.py``."""

from __future__ import annotations

from plait.fusion.base import (
    FUSIONS,
    EncodedDims,
    Fusion,
    FusionInfo,
    FusionOutput,
    OutputSpec,
    masked_mean,
    masked_softmax,
    present_vectors,
)
from plait.fusion.bottleneck import BottleneckFusion
from plait.fusion.calibration import Calibrated, Observing, SeenBatch, SeenRows
from plait.fusion.co_attention import CoAttentionFusion
from plait.fusion.concat import ConcatFusion
from plait.fusion.contract import check_fusion
from plait.fusion.cosine import CosineFusion
from plait.fusion.cross_attention import CrossAttentionFusion
from plait.fusion.dbf import DBFFusion
from plait.fusion.evidential import EvidentialFusion
from plait.fusion.film import FiLMFusion
from plait.fusion.flex_moe import FlexMoEFusion
from plait.fusion.gated import GatedFusion
from plait.fusion.late_average import LateMeanFusion, LateWeightedFusion
from plait.fusion.late_stacking import LateStackingFusion
from plait.fusion.low_rank import LowRankFusion
from plait.fusion.mcb import MCBFusion
from plait.fusion.mfb import MFBFusion, MFHFusion
from plait.fusion.mixture_of_experts import MixtureOfExpertsFusion
from plait.fusion.mmtm import MMTMFusion
from plait.fusion.pdf import PDFFusion
from plait.fusion.perceiver import PerceiverFusion
from plait.fusion.prefix import PrefixFusion
from plait.fusion.product import ProductFusion
from plait.fusion.product_of_experts import ProductOfExpertsFusion
from plait.fusion.qmf import QMFFusion
from plait.fusion.rcml import RCMLFusion
from plait.fusion.reconboost import ReconBoostFusion
from plait.fusion.self_attention import SelfAttentionFusion
from plait.fusion.tensor import TensorFusion
from plait.fusion.tucker import BlockFusion, MUTANFusion
from plait.fusion.weighted_sum import WeightedSumFusion

__all__ = [
    "FUSIONS",
    "BlockFusion",
    "BottleneckFusion",
    "Calibrated",
    "CoAttentionFusion",
    "ConcatFusion",
    "CosineFusion",
    "CrossAttentionFusion",
    "DBFFusion",
    "EncodedDims",
    "EvidentialFusion",
    "FiLMFusion",
    "FlexMoEFusion",
    "Fusion",
    "FusionInfo",
    "FusionOutput",
    "GatedFusion",
    "LateMeanFusion",
    "LateStackingFusion",
    "LateWeightedFusion",
    "LowRankFusion",
    "MCBFusion",
    "MFBFusion",
    "MFHFusion",
    "MMTMFusion",
    "MUTANFusion",
    "MixtureOfExpertsFusion",
    "Observing",
    "OutputSpec",
    "PDFFusion",
    "PerceiverFusion",
    "PrefixFusion",
    "ProductFusion",
    "ProductOfExpertsFusion",
    "QMFFusion",
    "RCMLFusion",
    "ReconBoostFusion",
    "SeenBatch",
    "SeenRows",
    "SelfAttentionFusion",
    "TensorFusion",
    "WeightedSumFusion",
    "check_fusion",
    "masked_mean",
    "masked_softmax",
    "present_vectors",
]
