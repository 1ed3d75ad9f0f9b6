"""What guessing gets: the level that every number of a report is held against.

A metric's name and the targets of the evaluated rows come in, a number or None goes out. Used by the report of a
model, the comparison and the explanation, so that all three draw the same line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

FIXED = {"r2": 0.0, "auroc": 0.5, "auroc_macro": 0.5}


def chance_level(metric: str, target: ArrayLike) -> float | None:
    """What guessing without looking at the inputs gets.

    Args:
        metric: Name of the metric.
        target: Encoded targets ``[N]``; a negative one is a class that was not known in training.

    Returns:
        For accuracy the share of the most frequent known class among all rows; 0 for R2; 0.5 for AUROC; None
        where there is no such number.

    Example:
        >>> chance_level("accuracy", [0, 0, 1, -1]), chance_level("auroc", [0, 1]), chance_level("mae", [1.5])
        (0.5, 0.5, None)
    """
    if metric != "accuracy":
        return FIXED.get(metric)
    given = np.asarray(target)
    if given.ndim != 1:
        return None
    known = given[given >= 0].astype(np.int64)
    return float(np.bincount(known).max() / len(given)) if len(known) else None
