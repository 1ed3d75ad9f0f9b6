"""Teachers of unlabelled rows on stored features: each learns from training rows alone and gives pseudo-labels."""

from __future__ import annotations

from plait.ensemble.teachers import linear, neighbours, propagation
from plait.ensemble.teachers.labels import check_teacher, teacher_of

__all__ = ["check_teacher", "linear", "neighbours", "propagation", "teacher_of"]
