"""Heads: from the fused vector to the outputs of a task."""

from __future__ import annotations

from plait.heads.label import LabelHead
from plait.heads.pair import PairHead
from plait.registry import Registry

HEADS: Registry[type[LabelHead] | type[PairHead]] = Registry("head")
HEADS.add("label", LabelHead)
HEADS.add("pair", PairHead)

__all__ = ["HEADS", "LabelHead", "PairHead"]
