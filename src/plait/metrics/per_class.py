"""Class by class: precision, recall and F1, each with its interval, beside the number of rows.

Precision is a mean over the rows predicted to be of the class, recall one over the rows that are; their intervals are
bootstraps over just those rows, Wilson's at 0 and 1. F1 is drawn over all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.intervals import Groups, bootstrap_interval, metric_intervals

MOST_WITH_INTERVALS = 100


class ClassRow(TypedDict):
    """One class: how often it is true and predicted, and its three metrics as value, low and high."""

    label: str
    support: int
    predicted: int
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    f1: dict[str, float | None]


def per_class(
    truth: ArrayLike, guess: ArrayLike, labels: Sequence[str], *, groups: Groups | None = None, resamples: int = 300,
    seed: int = 0,
) -> list[ClassRow]:  # fmt: skip
    """Precision, recall and F1 of every class or label.

    Args:
        truth: Which classes are true of each row ``[N, C]``, bool.
        guess: Which are predicted ``[N, C]``, bool.
        labels: Names of the classes.
        groups: A group name per row; rows of a group are drawn together.
        resamples: How many times to draw; above 100 classes none are, and the intervals are None.
        seed: Seed of the draws.

    Returns:
        One a class, in the order of ``labels``. A metric without rows (never predicted, never true) is None.

    Raises:
        ValueError: No rows, or shapes that disagree.

    Example:
        >>> rows = per_class([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]], ["a", "b"])
        >>> rows[1]["support"], rows[1]["precision"]["value"], rows[1]["recall"]["value"]
        (1, 0.5, 1.0)
    """
    truth_NC, guess_NC = np.asarray(truth, dtype=bool), np.asarray(guess, dtype=bool)
    if truth_NC.ndim != 2 or truth_NC.shape != guess_NC.shape or truth_NC.shape[1] != len(labels):
        raise ValueError(
            f"truth has shape {truth_NC.shape}, guess {guess_NC.shape} and there are {len(labels)} labels; expected "
            "[rows, classes] twice"
        )
    if len(truth_NC) == 0:
        raise ValueError("no rows to measure; give at least one")
    draws = resamples if len(labels) <= MOST_WITH_INTERVALS else 0
    names = np.arange(len(truth_NC)) if groups is None else np.asarray(groups)

    def share(chosen_N: NDArray[np.bool_], right_N: NDArray[np.bool_]) -> dict[str, float | None]:
        if not chosen_N.any():
            return {"value": None, "low": None, "high": None}
        right = right_N[chosen_N].astype(np.float64)
        low, high = (
            bootstrap_interval(right, len(right), groups=names[chosen_N], resamples=draws, seed=seed)
            if draws
            else (None, None)
        )
        return {"value": float(right.mean()), "low": low, "high": high}

    def f1(rows: NDArray[np.int64]) -> dict[str, float | None]:
        t, g = truth_NC[rows], guess_NC[rows]
        hits_C, sizes_C = (t & g).sum(0), t.sum(0) + g.sum(0)
        return {
            str(c): None if n == 0 else float(2 * h / n) for c, (h, n) in enumerate(zip(hits_C, sizes_C, strict=True))
        }

    if draws:
        drawn = metric_intervals(f1, len(truth_NC), groups=groups, resamples=draws, seed=seed)
    else:
        points = f1(np.arange(len(truth_NC)))
        drawn = {c: {"value": value, "low": None, "high": None} for c, value in points.items()}
    return [
        ClassRow(
            label=str(label),
            support=int(truth_NC[:, c].sum()),
            predicted=int(guess_NC[:, c].sum()),
            precision=share(guess_NC[:, c], truth_NC[:, c]),
            recall=share(truth_NC[:, c], guess_NC[:, c]),
            f1=drawn[str(c)],
        )
        for c, label in enumerate(labels)
    ]
