"""Fusion: several encoded modalities to one vector, one file per family; the contract is in ``base.py``."""

from __future__ import annotations

from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, OutputSpec
from plait.fusion.co_attention import CoAttentionFusion
from plait.fusion.concat import ConcatFusion
from plait.fusion.cosine import CosineFusion
from plait.fusion.film import FiLMFusion
from plait.fusion.gated import GatedFusion
from plait.fusion.low_rank import LowRankFusion
from plait.fusion.mcb import MCBFusion
from plait.fusion.mfb import MFBFusion, MFHFusion
from plait.fusion.mmtm import MMTMFusion
from plait.fusion.product import ProductFusion
from plait.fusion.tensor import TensorFusion
from plait.fusion.tucker import BlockFusion, MUTANFusion
from plait.fusion.weighted_sum import WeightedSumFusion

__all__ = [
    "FUSIONS",
    "BlockFusion",
    "CoAttentionFusion",
    "ConcatFusion",
    "CosineFusion",
    "EncodedDims",
    "FiLMFusion",
    "Fusion",
    "FusionInfo",
    "FusionOutput",
    "GatedFusion",
    "LowRankFusion",
    "MCBFusion",
    "MFBFusion",
    "MFHFusion",
    "MMTMFusion",
    "MUTANFusion",
    "OutputSpec",
    "ProductFusion",
    "TensorFusion",
    "WeightedSumFusion",
]
