"""Measuring: pure functions from numpy arrays to numbers, each beside its uncertainty.

Nothing here knows a model, a file or torch, and nothing is imported from the rest of Plait. ``label`` holds
the metrics, ``breakdown`` the confusion matrix and the slices, ``intervals`` the bootstrap, ``comparison`` many
methods on the same draws, ``verdict`` and ``comparison_verdict`` the sentences that say whether fusing helped.
``ranking`` measures retrieval per query (``similarity`` and ``tied_ranks`` keep it exact), ``retrieval`` sums it up
in both directions, ``retrieval_directions`` makes rows into such tasks, ``knn`` classifies by neighbours,
``robustness`` measures what missing modalities cost.
``shapley``, ``emap`` and ``perceptual`` say what a result rests on, and ``modality_verdict`` says it in words.
``vqa`` scores answers about pictures and ``captioning`` descriptions of them (``caption_tokens``, ``bleu``, ``rouge``,
``cider`` and ``meteor``, the last through Java).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from plait.metrics.modality_verdict import modality_verdict

if TYPE_CHECKING:
    from plait.metrics.breakdown import confusion, slices
    from plait.metrics.captioning import caption_metrics
    from plait.metrics.chance import chance_level
    from plait.metrics.comparison import method_intervals, pairwise_differences, rank_intervals, resample_methods
    from plait.metrics.emap import emap_scores, project_cube
    from plait.metrics.intervals import (
        bootstrap_interval,
        metric_intervals,
        paired_difference,
        paired_metric_difference,
    )
    from plait.metrics.knn import knn_classify, knn_classify_matrix
    from plait.metrics.label import classification_metrics, multilabel_metrics, regression_metrics
    from plait.metrics.perceptual import perceptual_score
    from plait.metrics.ranking import embedding_query_metrics, query_metrics
    from plait.metrics.retrieval import (
        matrix_retrieval_metrics,
        retrieval_intervals,
        retrieval_metrics,
        retrieval_summary,
    )
    from plait.metrics.robustness import (
        effective_robustness,
        missing_patterns,
        pattern_metrics,
        relative_robustness,
    )
    from plait.metrics.shapley import interaction_indices, shapley_values
    from plait.metrics.similarity import cosine_similarity
    from plait.metrics.verdict import fusion_verdict
    from plait.metrics.vqa import normalise_answer, vqa_accuracy, vqa_breakdown


__all__ = [
    "bootstrap_interval",
    "caption_metrics",
    "chance_level",
    "classification_metrics",
    "confusion",
    "cosine_similarity",
    "effective_robustness",
    "emap_scores",
    "embedding_query_metrics",
    "fusion_verdict",
    "interaction_indices",
    "knn_classify",
    "knn_classify_matrix",
    "matrix_retrieval_metrics",
    "method_intervals",
    "metric_intervals",
    "missing_patterns",
    "modality_verdict",
    "multilabel_metrics",
    "normalise_answer",
    "paired_difference",
    "paired_metric_difference",
    "pairwise_differences",
    "pattern_metrics",
    "perceptual_score",
    "project_cube",
    "query_metrics",
    "rank_intervals",
    "regression_metrics",
    "relative_robustness",
    "resample_methods",
    "retrieval_intervals",
    "retrieval_metrics",
    "retrieval_summary",
    "shapley_values",
    "slices",
    "vqa_accuracy",
    "vqa_breakdown",
]

_HOMES = {
    "bootstrap_interval": "intervals",
    "caption_metrics": "captioning",
    "chance_level": "chance",
    "classification_metrics": "label",
    "confusion": "breakdown",
    "cosine_similarity": "similarity",
    "effective_robustness": "robustness",
    "emap_scores": "emap",
    "embedding_query_metrics": "ranking",
    "fusion_verdict": "verdict",
    "interaction_indices": "shapley",
    "knn_classify": "knn",
    "knn_classify_matrix": "knn",
    "matrix_retrieval_metrics": "retrieval",
    "method_intervals": "comparison",
    "metric_intervals": "intervals",
    "missing_patterns": "robustness",
    "multilabel_metrics": "label",
    "normalise_answer": "vqa",
    "paired_difference": "intervals",
    "paired_metric_difference": "intervals",
    "pairwise_differences": "comparison",
    "pattern_metrics": "robustness",
    "perceptual_score": "perceptual",
    "project_cube": "emap",
    "query_metrics": "ranking",
    "rank_intervals": "comparison",
    "regression_metrics": "label",
    "relative_robustness": "robustness",
    "resample_methods": "comparison",
    "retrieval_intervals": "retrieval",
    "retrieval_metrics": "retrieval",
    "retrieval_summary": "retrieval",
    "shapley_values": "shapley",
    "slices": "breakdown",
    "vqa_accuracy": "vqa",
    "vqa_breakdown": "vqa",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
