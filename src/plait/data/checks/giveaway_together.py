"""Numbers that give the target away together, though none of them does alone.

Two kinds are looked for. *Totals that count the row itself*: a table says how often each class was seen before (a
speaker's false statements, a customer's returns), and the totals were taken with the row inside. Then the total of
its class is never 0 on a row of that class, while it is often 0 elsewhere, and that column by column, one for
each class. *A sum or a region*: the target is a function of several columns. A shallow tree and a linear model
are learned on one half of the rows and evaluated on the other, both ways, as
:mod:`plait.data.checks.giveaway` does for one column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_ROWS = 40
_LEAST_OF_CLASS = 20
_MOST_ROWS = 20_000
_NEVER = 0.02
_OFTEN = 0.15
_LEAST_EXPECTED = 10.0
_LEAST_CLASSES = 2
_TREE = {"max_depth": 6, "min_samples_leaf": 5, "random_state": 0}


@dataclass(frozen=True)
class OwnTotal:
    """A column that seems to count the rows of a class, the row at hand among them.

    Attributes:
        column: The column.
        target: The class it counts.
        rows: Rows of that class.
        zero_here: Share of them where the column is 0.
        zero_elsewhere: Share of all other rows where it is 0.
    """

    column: str
    target: Any
    rows: int
    zero_here: float
    zero_elsewhere: float


def own_totals(columns: dict[str, list[Any]], target: list[Any]) -> list[OwnTotal]:
    """Columns of counts that are never 0 on the rows of one class and often 0 on all others.

    A column alone may do so by right (no case of a disease without a positive test), so at least two classes must have
    each a column of its own.

    Args:
        columns: Numbers by name; a column is looked at when it holds whole numbers from 0 on.
        target: The classes; rows without one are left out.

    Returns:
        One for each class that has such a column; none where fewer than two have.

    Example:
        >>> seen = {"yes_so_far": [3, 1, 0, 0] * 20, "no_so_far": [0, 1, 2, 1] * 20}
        >>> [(t.column, t.target) for t in own_totals(seen, ["yes", "yes", "no", "no"] * 20)]
        [('yes_so_far', 'yes'), ('no_so_far', 'no')]
    """
    found: dict[str, OwnTotal] = {}
    kept = [i for i, t in enumerate(target) if t is not None]
    labels = np.array([repr(target[i]) for i in kept], dtype=object)
    names = {repr(target[i]): target[i] for i in kept}
    for column, values in columns.items():
        numbers = np.array([np.nan if values[i] is None else float(values[i]) for i in kept])
        there = np.isfinite(numbers)
        if not there.any() or (numbers[there] < 0).any() or (numbers[there] % 1 != 0).any():
            continue
        for label, name in names.items():
            here = there & (labels == label)
            elsewhere = there & (labels != label)
            if here.sum() < _LEAST_OF_CLASS or not elsewhere.any():
                continue
            miss, rate = float((numbers[here] == 0).mean()), float((numbers[elsewhere] == 0).mean())
            fits = miss <= _NEVER and rate >= _OFTEN and rate * here.sum() >= _LEAST_EXPECTED
            if fits and (label not in found or miss - rate < found[label].zero_here - found[label].zero_elsewhere):
                found[label] = OwnTotal(column, name, int(here.sum()), miss, rate)
    distinct = len({total.column for total in found.values()})
    return list(found.values()) if distinct >= _LEAST_CLASSES and distinct == len(found) else []


def joint_score(columns: dict[str, list[Any]], target: list[Any], *, regression: bool) -> float | None:
    """How much of the target the numbers give away together, from 0 (nothing) to 1 (all).

    Args:
        columns: Numbers by name; a missing one is put at the mean of the learning half.
        target: The target; rows without one are left out.
        regression: Whether the target is a number (else a class).

    Returns:
        The share of the baseline's error taken away by a shallow tree or a linear model, whichever takes more; None
        with fewer than 40 rows, fewer than two columns or a constant target.
    """
    if len(columns) < 2:
        return None
    kept = [i for i, t in enumerate(target) if t is not None and not (isinstance(t, float) and not np.isfinite(t))]
    order = [kept[i] for i in np.random.default_rng(0).permutation(len(kept))[:_MOST_ROWS]]
    if len(order) < LEAST_ROWS:
        return None
    table = np.array([[_number(values[i]) for values in columns.values()] for i in order])
    truth: npt.NDArray[Any] = (
        np.array([float(target[i]) for i in order])
        if regression
        else np.unique([repr(target[i]) for i in order], return_inverse=True)[1]
    )
    halves = np.arange(len(order)) < len(order) // 2, np.arange(len(order)) >= len(order) // 2
    base, left = 0.0, np.zeros(2)
    for learn, judge in (halves, halves[::-1]):
        if len(np.unique(truth[learn])) < 2:
            return None
        inputs = _scaled(table, learn)
        middle = truth[learn].mean() if regression else np.bincount(truth[learn]).argmax()
        base += _error(np.full(int(judge.sum()), middle), truth[judge], regression)
        for m, model in enumerate(_models(regression)):
            guess = model.fit(inputs[learn], truth[learn]).predict(inputs[judge])
            left[m] += _error(guess, truth[judge], regression)
    return None if base == 0 else max(0.0, 1.0 - float(left.min()) / base)


def _number(value: Any) -> float:
    made = np.nan if value is None else float(value)
    return made if np.isfinite(made) else np.nan


def _scaled(table: Floats, learn: npt.NDArray[np.bool_]) -> Floats:
    """Columns at mean 0 and spread 1 on the learning rows; what is missing at 0."""
    seen = np.where(np.isnan(table[learn]), 0.0, table[learn])
    num = np.maximum((~np.isnan(table[learn])).sum(0), 1)
    mean = seen.sum(0) / num
    spread = np.sqrt((np.where(np.isnan(table[learn]), 0.0, table[learn] - mean) ** 2).sum(0) / num)
    scaled: Floats = np.nan_to_num((table - mean) / np.where(spread > 0, spread, 1.0))
    return scaled


def _models(regression: bool) -> tuple[Any, Any]:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if regression:
        return DecisionTreeRegressor(**_TREE), LinearRegression()
    return DecisionTreeClassifier(**_TREE), LogisticRegression(max_iter=1000)


def _error(guess: npt.NDArray[Any], truth: npt.NDArray[Any], regression: bool) -> float:
    return float(((guess - truth) ** 2).sum()) if regression else float((guess != truth).sum())
