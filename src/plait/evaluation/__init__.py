"""Evaluating a fitted model on rows it has not seen; each kind of output has its judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.data.shown import shown_text
from plait.registry import late_names

if TYPE_CHECKING:
    from plait.evaluation.base import EVALUATORS, Evaluated, EvaluationInputs, shown_inputs
    from plait.evaluation.embeddings import evaluate_embeddings
    from plait.evaluation.labels import evaluate_labels, num_resamples
    from plait.evaluation.texts import evaluate_texts


__all__ = [
    "EVALUATORS",
    "Evaluated",
    "EvaluationInputs",
    "evaluate_embeddings",
    "evaluate_labels",
    "evaluate_texts",
    "num_resamples",
    "shown_inputs",
    "shown_text",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "EVALUATORS": "base",
        "Evaluated": "base",
        "EvaluationInputs": "base",
        "evaluate_embeddings": "embeddings",
        "evaluate_labels": "labels",
        "evaluate_texts": "texts",
        "num_resamples": "labels",
        "shown_inputs": "base",
    },
)
