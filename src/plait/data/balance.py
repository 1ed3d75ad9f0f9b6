"""Whether one modality alone can tell right pairs from wrong ones: not where its items stand in both alike.

In: the item numbers of rows, and which rows are right pairs. Pairs that Plait draws (``pairs.py``) are balanced so.
"""

from __future__ import annotations

import numpy as np

LARGEST_EXCESS = 0.01  # a few rows that could not be read take their items out of balance


def largest_excess(index_NM: np.ndarray, right_N: np.ndarray) -> float:
    """By how much the items of one modality differ in their share of right pairs, in [0, 0.5]; the largest of all.

    For each modality it is the mean over its rows of the distance between the share of right pairs of the row's item
    and that of all these rows; 0 where every item stands in right pairs as often as the others, so that no model of
    that modality can be better than guessing.

    Args:
        index_NM: Item number of each modality in each row, -1 where missing.
        right_N: Whether each row is a right pair.

    Example:
        >>> largest_excess(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]), np.array([1, 0, 1, 0]))
        0.0
    """
    found = 0.0
    for index_N in index_NM.T:
        there = index_N >= 0
        if not there.any():
            continue
        right = right_N[there].astype(np.float64)
        item = np.unique(index_N[there], return_inverse=True)[1]
        share = np.bincount(item, right) / np.bincount(item)
        found = max(found, float(np.abs(share[item] - right.mean()).mean()))
    return found


def tells_nothing_alone(index_NM: np.ndarray, right_N: np.ndarray) -> bool:
    """Whether no modality alone tells right pairs from wrong ones, a hundredth of an excess aside."""
    return len(index_NM) > 0 and largest_excess(index_NM, right_N) <= LARGEST_EXCESS
