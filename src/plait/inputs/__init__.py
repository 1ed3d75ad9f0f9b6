"""A table through processors and frozen encoders to batches."""

from __future__ import annotations

from plait.inputs.kinds import MODALITY_KINDS
from plait.inputs.modality_kinds import ModalityKind, TrainingRows

__all__ = ["MODALITY_KINDS", "ModalityKind", "TrainingRows"]
