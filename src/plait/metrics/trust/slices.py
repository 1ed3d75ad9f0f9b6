"""Slices of rows in which a model does worse or better than in the others, by more than looking at many explains.

A score a row and the positions of each slice come in; gaps with intervals come out, whose level is corrected for how
many slices were looked at (Bonferroni), so that of all intervals together 95 % hold.

Reference: Welch 1947 (means of unequal variances); Dunn 1961 (simultaneous intervals).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_UNITS = 10


class SliceGap(NamedTuple):
    """One slice against all other rows.

    Attributes:
        column: Column that the slice is of.
        value: Its value there.
        rows: How many rows.
        mean: Mean score in the slice.
        rest: Mean score in the others.
        low: Lower end of the simultaneous interval of ``mean - rest``.
        high: Its upper end.
    """

    column: str
    value: str
    rows: int
    mean: float
    rest: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def slice_gaps(
    score_N: ArrayLike, found: Sequence[tuple[str, str, NDArray[np.int64]]], *, unit: ArrayLike | None = None,
    level: float = 0.95,
) -> list[SliceGap]:  # fmt: skip
    """The gap of every slice that has enough rows on both sides, the widest first.

    Args:
        score_N: Score of each row ``[N]``, such as right (1) or wrong (0).
        found: Column, value and row positions of each slice.
        unit: Rows with equal numbers are one observation on each side; None: each row is one.
        level: That all intervals together hold, 0 to 1.

    Returns:
        Slices with 10 units or more inside and outside; those with fewer are not looked at and not corrected for.
    """
    from scipy.stats import t as student

    score, n = np.asarray(score_N, dtype=np.float64), len(np.asarray(score_N))
    units = np.arange(n) if unit is None else np.asarray(unit)
    looked = []
    for column, value, rows in found:
        inside = np.zeros(n, dtype=bool)
        inside[rows] = True
        a, b = _means(score[inside], units[inside]), _means(score[~inside], units[~inside])
        if len(a) >= LEAST_UNITS and len(b) >= LEAST_UNITS:
            looked.append((column, value, int(inside.sum()), a, b))
    gaps = []
    are_shares = bool(((score >= 0) & (score <= 1)).all())
    for column, value, rows_in, a, b in looked:
        spread_a, spread_b = _variance(a, are_shares) / len(a), _variance(b, are_shares) / len(b)
        error = float(np.sqrt(spread_a + spread_b))
        free = (spread_a + spread_b) ** 2 / max(spread_a**2 / (len(a) - 1) + spread_b**2 / (len(b) - 1), 1e-300)
        reach = float(student.ppf(1 - (1 - level) / 2 / len(looked), max(free, 1.0))) * error
        gap = float(a.mean() - b.mean())
        gaps.append(SliceGap(column, value, rows_in, float(a.mean()), float(b.mean()), gap - reach, gap + reach))
    return sorted(gaps, key=lambda g: (not g.is_real, -abs(g.mean - g.rest)))


def _means(score: NDArray[np.float64], unit: NDArray[np.int64]) -> NDArray[np.float64]:
    place = np.unique(unit, return_inverse=True)[1]
    return np.bincount(place, weights=score) / np.bincount(place) if len(score) else np.zeros(0)


def _variance(values: NDArray[np.float64], are_shares: bool) -> float:
    """Of shares with one imagined 0 and 1 more (Agresti and Caffo 2000): ten right of ten do not prove that it is 0."""
    return float(np.var([*values, 0.0, 1.0] if are_shares else values, ddof=1))
