"""From answers with parts hidden to what each part adds: occlusion, or exact Shapley values where parts are few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plait.metrics.shapley import shapley_values

Scores = Callable[[np.ndarray], np.ndarray]


def every_subset(count: int) -> np.ndarray:
    """Masks [2^P, P] in bit order."""
    numbers = np.arange(1 << count)
    return (numbers[:, None] >> np.arange(count) & 1).astype(bool)


def without_each(count: int) -> np.ndarray:
    """Masks [P + 2, P]: everything, nothing, then without each part in turn."""
    return np.concatenate([np.ones((1, count)), np.zeros((1, count)), 1 - np.eye(count)]).astype(bool)


def occlusion(scores: Scores, count: int) -> np.ndarray:
    """What is lost when a part alone is hidden [P, ...] (Zeiler and Fergus 2014).

    Args:
        scores: Masks [V, P] of parts that stay to scores [V, ...].
        count: Parts.
    """
    found = scores(without_each(count))
    lost: np.ndarray = found[:1] - found[2:]
    return lost


def exact_shapley(scores: Scores, count: int) -> np.ndarray:
    """Shapley value of every part [P, ...], from all 2^P subsets (Shapley 1953)."""
    return shapley_values(scores(every_subset(count)))
