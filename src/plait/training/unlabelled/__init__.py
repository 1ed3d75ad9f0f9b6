"""Rows without a target in training: a term of their own beside the supervised loss, which never sees them."""

from __future__ import annotations

from plait.training.unlabelled.rows import PseudoLabels, UnlabelledRows

__all__ = ["PseudoLabels", "UnlabelledRows"]
