"""Evaluating a fitted model on rows it has not seen; each kind of output has its judge."""

from __future__ import annotations

from plait.data.shown import shown_text
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
