"""Conformal prediction by group: the promise holds in every group of rows, such as a pattern of what is there.

A group with few calibration rows has no quantile worth the name; groups with fewer than a given number are pooled with
each other, and where they have too few together as well, all rows stand in for them. Pooled groups keep the promise
together, not each.

Reference: Vovk, Gammerman and Shafer 2005, section 4.5 (Mondrian); Vovk 2012 (conditional validity).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.trust.conformal import conformal_quantile

FEWEST = 50  # rows of a group of its own: the share covered at .9 then has a standard deviation of .04


def pooled_groups(groups: Sequence[Hashable], *, fewest: int = FEWEST) -> dict[Hashable, NDArray[np.int64]]:
    """Positions of the calibration rows that speak for each group.

    Args:
        groups: The group of each calibration row [N].
        fewest: Rows that make a group of its own.

    Returns:
        By group, in the order of first appearance: its own rows; for groups with fewer than ``fewest`` those of all
        such groups, or all rows where these are fewer than ``fewest`` too.

    Example:
        >>> {g: len(rows) for g, rows in pooled_groups(["a"] * 60 + ["b"] * 5, fewest=50).items()}
        {'a': 60, 'b': 65}
    """
    rows_of: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    small = [row for rows in rows_of.values() if len(rows) < fewest for row in rows]
    pool = np.array(sorted(small), dtype=np.int64) if len(small) >= fewest else np.arange(len(groups), dtype=np.int64)
    return {g: np.array(rows, dtype=np.int64) if len(rows) >= fewest else pool for g, rows in rows_of.items()}


def group_quantiles(
    scores: ArrayLike, groups: Sequence[Hashable], coverage: float, *, fewest: int = FEWEST
) -> dict[Hashable, float]:
    """The conformal quantile of each group of calibration rows, small groups pooled (:func:`pooled_groups`)."""
    scores_N = np.asarray(scores, dtype=np.float64)
    return {g: conformal_quantile(scores_N[rows], coverage) for g, rows in pooled_groups(groups, fewest=fewest).items()}


def coverage_by_group(covered: ArrayLike, groups: Sequence[Hashable]) -> dict[Hashable, dict[str, Any]]:
    """``rows`` and share ``covered`` of each group, in the order of first appearance."""
    covered_N = np.asarray(covered, dtype=np.float64)
    rows_of: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    return {g: {"rows": len(rows), "covered": float(covered_N[rows].mean())} for g, rows in rows_of.items()}
