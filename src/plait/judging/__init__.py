"""Judging a fitted model on rows it has not seen; each kind of output has its judge."""

from __future__ import annotations

from plait.judging.embeddings import judge_embeddings
from plait.judging.jury import JUDGES, Judged, Jury, shown_inputs
from plait.judging.labels import judge_labels, num_resamples
from plait.judging.shown import shown_text
from plait.judging.texts import judge_texts

__all__ = [
    "JUDGES",
    "Judged",
    "Jury",
    "judge_embeddings",
    "judge_labels",
    "judge_texts",
    "num_resamples",
    "shown_inputs",
    "shown_text",
]
