"""Heads: from the fused vector to the outputs of a task."""

from __future__ import annotations

from plait.heads.base import Head
from plait.heads.direct import DirectHead
from plait.heads.dual_encoder import DualEncoderHead
from plait.heads.generate import GenerateHead
from plait.heads.label import LabelHead
from plait.heads.members import MembersHead
from plait.heads.pair import PairHead
from plait.registry import Registry

HEADS: Registry[type[Head]] = Registry("head")
HEADS.add("label", LabelHead)
HEADS.add("pair", PairHead)
HEADS.add("direct", DirectHead)
HEADS.add("generate", GenerateHead)
HEADS.add("towers", DualEncoderHead)
HEADS.add("members", MembersHead)

__all__ = ["HEADS", "DirectHead", "GenerateHead", "Head", "LabelHead", "MembersHead", "PairHead", "DualEncoderHead"]
