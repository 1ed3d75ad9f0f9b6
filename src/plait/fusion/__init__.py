"""Fusion: several encoded modalities to one vector, one file per family; the contract is in ``base.py``."""

from __future__ import annotations

from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, OutputSpec
from plait.fusion.co_attention import CoAttentionFusion
from plait.fusion.concat import ConcatFusion
from plait.fusion.gated import GatedFusion
from plait.fusion.product import ProductFusion
from plait.fusion.weighted_sum import WeightedSumFusion

__all__ = [
    "FUSIONS",
    "CoAttentionFusion",
    "ConcatFusion",
    "EncodedDims",
    "Fusion",
    "FusionInfo",
    "FusionOutput",
    "GatedFusion",
    "OutputSpec",
    "ProductFusion",
    "WeightedSumFusion",
]
