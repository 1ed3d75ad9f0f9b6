"""Fitting: plans, fresh models, calibration, what chooses the epoch, and training step by step.

Training itself is ``plait.training.fit``, imported by who trains: its trainer takes seconds to import, and a search
or a prediction needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.registry import late_names

if TYPE_CHECKING:
    from plait.training.build import build_model, check_build, needs_tokens
    from plait.training.calibration import calibrate, calibration_notes
    from plait.training.embeddings import check_pairs
    from plait.training.plan import Plan
    from plait.training.scores import EPOCH_SCORES
    from plait.training.text_scores import text_score


__all__ = [
    "EPOCH_SCORES",
    "Plan",
    "build_model",
    "calibrate",
    "calibration_notes",
    "check_build",
    "check_pairs",
    "needs_tokens",
    "text_score",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "EPOCH_SCORES": "scores",
        "Plan": "plan",
        "build_model": "build",
        "calibrate": "calibration",
        "calibration_notes": "calibration",
        "check_build": "build",
        "check_pairs": "embeddings",
        "needs_tokens": "build",
        "text_score": "text_scores",
    },
)
