"""The kinds of modality that Plait knows, one file each."""

from __future__ import annotations

from plait.inputs.kinds.audio import AUDIO
from plait.inputs.kinds.image import IMAGE, IMAGE_SET
from plait.inputs.kinds.tabular import TABULAR
from plait.inputs.kinds.text import TEXT
from plait.inputs.kinds.vector import VECTOR
from plait.inputs.modality_kinds import MODALITY_KINDS

__all__ = ["MODALITY_KINDS"]

MODALITY_KINDS.add("text", TEXT)
MODALITY_KINDS.add("image", IMAGE)
MODALITY_KINDS.add("image_set", IMAGE_SET)
MODALITY_KINDS.add("audio", AUDIO)
MODALITY_KINDS.add("vector", VECTOR)
MODALITY_KINDS.add("tabular", TABULAR)
