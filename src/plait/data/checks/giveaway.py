"""Columns that give the target away: one number or category from which the target can be read off.

The measure is made on rows it has not seen: the table is dealt into two halves, a lookup is learned on one
and evaluated on the other, both ways. A category predicts the commonest (or mean) target of its value; a
number predicts that of its nearest neighbour. The score is the share of the baseline's error that the
column takes away: 0 for chance, 1 for a column that is the target in disguise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_LEAST_ROWS = 20
_MOST_ROWS = 20_000


def giveaway_score(values: list[Any], target: list[Any], *, numeric: bool, regression: bool) -> float | None:
    """How much of the target one column gives away, from 0 (nothing) to 1 (all).

    Args:
        values: The column; rows without a value are left out.
        target: The target; rows without one are left out.
        numeric: Whether the column is a number (else a category).
        regression: Whether the target is a number (else a class).

    Returns:
        The share of the baseline's error taken away; None with fewer than 20 rows or a constant target.

    Example:
        >>> giveaway_score(list("ab") * 20, [0, 1] * 20, numeric=False, regression=False)
        1.0
    """
    rows = [(v, t) for v, t in zip(values, target, strict=True) if _present(v) and _present(t)]
    order = np.random.default_rng(0).permutation(len(rows))[:_MOST_ROWS]
    if len(order) < _LEAST_ROWS:
        return None
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    left = base = 0.0
    for learn, judge in (halves, halves[::-1]):
        known, asked = [rows[i] for i in learn], [rows[i] for i in judge]
        guess = _nearest if numeric else _by_value
        left += _error(guess(known, [v for v, _ in asked], regression), asked, regression)
        base += _error([_middle([t for _, t in known], regression)] * len(asked), asked, regression)
    return None if base == 0 else max(0.0, 1.0 - left / base)


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not np.isfinite(value))


def _middle(targets: list[Any], regression: bool) -> Any:
    return float(np.mean(targets)) if regression else Counter(targets).most_common(1)[0][0]


def _by_value(known: list[tuple[Any, Any]], asked: list[Any], regression: bool) -> list[Any]:
    seen: dict[Any, list[Any]] = defaultdict(list)
    for value, target in known:
        seen[value].append(target)
    middles = {value: _middle(targets, regression) for value, targets in seen.items()}
    otherwise = _middle([t for _, t in known], regression)
    return [middles.get(value, otherwise) for value in asked]


def _nearest(known: list[tuple[Any, Any]], asked: list[Any], regression: bool) -> list[Any]:
    """The target of the known row whose number is nearest; rows of one number speak together."""
    seen: dict[float, list[Any]] = defaultdict(list)
    for value, target in known:
        seen[float(value)].append(target)
    places: Floats = np.array(sorted(seen))
    wanted: Floats = np.array([float(v) for v in asked])
    right = np.clip(np.searchsorted(places, wanted), 1, max(1, len(places) - 1))
    if len(places) == 1:
        right = np.zeros(len(wanted), np.int64)
    before = np.abs(places[right - 1] - wanted) <= np.abs(places[right] - wanted)
    middles = {place: _middle(targets, regression) for place, targets in seen.items()}
    return [middles[float(places[r - 1 if b else r])] for r, b in zip(right, before, strict=True)]


def _error(guesses: list[Any], asked: list[tuple[Any, Any]], regression: bool) -> float:
    if regression:
        return float(sum((float(g) - float(t)) ** 2 for g, (_, t) in zip(guesses, asked, strict=True)))
    return float(sum(g != t for g, (_, t) in zip(guesses, asked, strict=True)))
