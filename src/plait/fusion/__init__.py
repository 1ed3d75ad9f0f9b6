"""Fusion: several encoded modalities to one vector, one file per family; the contract is in ``base.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from plait.registry import late_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = late_names(
    __name__,
    {
        "BlockFusion": "tucker",
        "BottleneckFusion": "bottleneck",
        "Calibrated": "calibration",
        "CoAttentionFusion": "co_attention",
        "ConcatFusion": "concat",
        "CosineFusion": "cosine",
        "CrossAttentionFusion": "cross_attention",
        "DBFFusion": "dbf",
        "EvidentialFusion": "evidential",
        "FiLMFusion": "film",
        "FlexMoEFusion": "flex_moe",
        "GatedFusion": "gated",
        "LateMeanFusion": "late_average",
        "LateStackingFusion": "late_stacking",
        "LateWeightedFusion": "late_average",
        "LowRankFusion": "low_rank",
        "MCBFusion": "mcb",
        "MFBFusion": "mfb",
        "MFHFusion": "mfb",
        "MMTMFusion": "mmtm",
        "MUTANFusion": "tucker",
        "MixtureOfExpertsFusion": "mixture_of_experts",
        "Observing": "calibration",
        "PDFFusion": "pdf",
        "PerceiverFusion": "perceiver",
        "PrefixFusion": "prefix",
        "ProductFusion": "product",
        "ProductOfExpertsFusion": "product_of_experts",
        "QMFFusion": "qmf",
        "RCMLFusion": "rcml",
        "ReconBoostFusion": "reconboost",
        "SeenBatch": "calibration",
        "SeenRows": "calibration",
        "SelfAttentionFusion": "self_attention",
        "TensorFusion": "tensor",
        "WeightedSumFusion": "weighted_sum",
        "check_fusion": "contract",
    },
)

# By name, in the order of lists: the file of this room that adds it. A fusion is imported when it is asked for.
for _name, _file in {
    "bottleneck": "bottleneck",
    "co_attention": "co_attention",
    "concat": "concat",
    "cosine": "cosine",
    "cross_attention": "cross_attention",
    "evidential": "evidential",
    "rcml": "rcml",
    "dbf": "dbf",
    "film": "film",
    "mixture_of_experts": "mixture_of_experts",
    "flex_moe": "flex_moe",
    "gated": "gated",
    "late_mean": "late_average",
    "late_weighted": "late_average",
    "late_stacking": "late_stacking",
    "low_rank": "low_rank",
    "mcb": "mcb",
    "mfb": "mfb",
    "mfh": "mfb",
    "mmtm": "mmtm",
    "pdf": "pdf",
    "perceiver": "perceiver",
    "prefix": "prefix",
    "product": "product",
    "product_of_experts": "product_of_experts",
    "qmf": "qmf",
    "reconboost": "reconboost",
    "self_attention": "self_attention",
    "tensor": "tensor",
    "mutan": "tucker",
    "block": "tucker",
    "weighted_sum": "weighted_sum",
}.items():
    FUSIONS.expect(_name, f"{__name__}.{_file}")
