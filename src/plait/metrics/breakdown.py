"""Where the errors are: the confusion matrix, and one metric per value of a column.

Arrays and columns come in, counts and rows of a table come out. Every row of the data stands in exactly one
slice: rare values share ``other`` and empty cells have a slice of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.metrics.label import class_numbers

Ints = NDArray[np.int64]


class Slice(TypedDict):
    """The rows that share a value of a column, and the metrics on them alone."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Any]


def confusion(y: ArrayLike, pred: ArrayLike, num_classes: int) -> Ints:
    """Count truth against prediction.

    Args:
        y: True class numbers ``[N]``.
        pred: Predicted class numbers ``[N]``.
        num_classes: C.

    Returns:
        Counts ``[C, C]``; a row per true class, a column per predicted class.

    Raises:
        ValueError: Lengths that disagree or a class outside 0 to C - 1.

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    truth_N, pred_N = class_numbers(y, num_classes, "y"), class_numbers(pred, num_classes, "pred")
    if len(truth_N) != len(pred_N):
        raise ValueError(f"y has {len(truth_N)} rows but pred has {len(pred_N)}; give one each")
    counts = np.bincount(truth_N * num_classes + pred_N, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def slices(
    metric_fn: Callable[[Ints], Mapping[str, Any]],
    values: Sequence[Any],
    *,
    column: str = "",
    top: int = 20,
    numeric: bool | None = None,
) -> list[Slice]:
    """Metrics per value of a column.

    Numbers with more than ten distinct values are cut at their quartiles; everything else is grouped by
    value, the ``top`` commonest by themselves and the rest as ``other``. Empty cells (None, NaN) are the
    slice ``(missing)``.

    Args:
        metric_fn: Gets the row positions of a slice, returns its metrics.
        values: The column, a value per row in the order of the arrays that ``metric_fn`` indexes.
        column: Name to write into each slice.
        top: How many values get a slice of their own.
        numeric: True cuts at quartiles, False groups by value, None decides from the values.

    Returns:
        Slices, quartiles in rising order, values by falling count; ``other`` and ``(missing)`` last.

    Raises:
        ValueError: ``top`` below 1, or quartiles asked of a column that is not numeric.

    Example:
        >>> [(s["value"], s["rows"]) for s in slices(lambda rows: {}, ["a", "b", "a"])]
        [('a', 2), ('b', 1)]
    """
    if top < 1:
        raise ValueError(f"top is {top}; expected at least 1")
    cells = list(values)
    missing = [i for i, v in enumerate(cells) if _is_missing(v)]
    present = [i for i, v in enumerate(cells) if not _is_missing(v)]
    are_numbers = len(present) > 0 and all(_is_number(cells[i]) for i in present)
    if numeric is None:
        numeric = are_numbers and len({float(cells[i]) for i in present}) > 10
    if numeric and present and not are_numbers:
        raise ValueError(f"column {column!r} holds values that are not numbers; pass numeric=False")
    members = _by_quartile(cells, present) if numeric else _by_value(cells, present, top)
    if missing:
        members.append(("(missing)", missing))
    return [
        Slice(
            column=column,
            value=name,
            rows=len(rows),
            metrics=dict(metric_fn(np.asarray(rows, dtype=np.int64))),
        )
        for name, rows in members
    ]


def _by_value(cells: list[Any], present: list[int], top: int) -> list[tuple[str, list[int]]]:
    keys = {i: _as_text(cells[i]) for i in present}
    counted = Counter(keys.values())
    # Ties are broken by name, so that the order does not depend on the order of rows.
    ordered = sorted(counted, key=lambda name: (-counted[name], name))
    kept = ordered[:top]
    rows_of: dict[str, list[int]] = {name: [] for name in kept}
    rest: list[int] = []
    for i in present:
        rows_of.get(keys[i], rest).append(i)
    members = [(name, rows_of[name]) for name in kept]
    if rest:
        members.append((f"other ({len(ordered) - len(kept)} values)", rest))
    return members


def _by_quartile(cells: list[Any], present: list[int]) -> list[tuple[str, list[int]]]:
    if not present:
        return []
    numbers = np.asarray([float(cells[i]) for i in present])
    cuts = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75]))
    bins = np.searchsorted(cuts, numbers, side="left")
    members = []
    for b in np.unique(bins):
        inside = bins == b
        name = f"{numbers[inside].min():.6g} to {numbers[inside].max():.6g}"
        members.append((name, [present[int(k)] for k in np.flatnonzero(inside)]))
    return members


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return is_plain and math.isfinite(value)


def _as_text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
