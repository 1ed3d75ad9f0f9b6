"""Metrics of decisions from counts, many at once: [K, 4] right and wrong answers of K classes or labels."""

from __future__ import annotations

import numpy as np

CLASS_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted")
LABEL_METRICS = ("f1_macro", "f1_micro", "exact_match")
Counts = np.ndarray  # of decisions: [.., K, 4], true and false positives, false and true negatives of K columns


def counts_of(truth_NK: np.ndarray, guess_NK: np.ndarray) -> Counts:
    """Which of the four each decision is [N, K, 4]."""
    return np.stack([truth_NK & guess_NK, ~truth_NK & guess_NK, truth_NK & ~guess_NK, ~truth_NK & ~guess_NK], -1) * 1.0


def score_of(counts: Counts, metric: str) -> np.ndarray:
    """A metric of summed decisions [.., K, 4], K labels of a set or one column a class.

    As ``classification_metrics`` and ``multilabel_metrics`` have them: ``f1_macro`` over what occurs in truth or
    answers, ``balanced_accuracy`` over what occurs in truth. Not ``exact_match``, which is a mean over rows.
    """
    tp, fp, fn, _ = np.moveaxis(counts, -1, 0)
    if metric == "f1_micro":
        tp, fp, fn = tp.sum(-1), fp.sum(-1), fn.sum(-1)
        return 2 * tp / np.maximum(2 * tp + fp + fn, 1e-12)
    there = tp + fn
    total = np.maximum(there.sum(-1), 1e-12)
    if metric == "accuracy":
        return tp.sum(-1) / total
    if metric == "balanced_accuracy":
        return (tp / np.maximum(there, 1e-12)).sum(-1) / np.maximum((there > 0).sum(-1), 1)
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1e-12)
    if metric == "f1_weighted":
        return (there * f1).sum(-1) / total
    seen = tp + fp + fn > 0
    return (f1 * seen).sum(-1) / np.maximum(seen.sum(-1), 1)


def weighed_scores(truth_NK: np.ndarray, guess_NK: np.ndarray, weight_RN: np.ndarray, metric: str) -> np.ndarray:
    """A metric of decisions under each weighing of the rows [R]."""
    if metric == "exact_match":
        return np.asarray((weight_RN @ (guess_NK == truth_NK).all(1)) / weight_RN.sum(1))
    counts = counts_of(truth_NK, guess_NK)
    summed = (weight_RN @ counts.reshape(len(counts), -1)).reshape(-1, *counts.shape[1:])
    return score_of(summed, metric)
