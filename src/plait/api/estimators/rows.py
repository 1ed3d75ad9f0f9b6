"""What scikit-learn hands over as ``X`` and ``y``, as one table of Plait, and which rows of it choose the epoch.

``X`` is a data frame, a dictionary of columns or a list of dictionaries, with columns of any kind, or an array of
numbers; ``y`` becomes a column of it. An array has no names: its columns are x0, x1 and so on, all of them numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from plait.data.table import Table, read_table
from plait.data.table_like import TableLike

MatrixLike = TableLike | np.ndarray
"""What ``X`` may be: a table, or an array of numbers [N, D]."""

TARGET, SPLIT = "target of fit", "split of fit"


def table_of(estimator: Any, X: Any, *, reset: bool) -> tuple[Table, bool]:
    """``X`` as a table, and whether it was an array of numbers.

    Args:
        estimator: Learns ``n_features_in_`` and ``feature_names_in_`` under ``reset``; else ``X`` is held against them.
        X: A data frame, dictionary of columns or list of dictionaries; or an array [N, F] of numbers, NaN is missing.
        reset: Whether this is ``fit``.

    Raises:
        ValueError: Not a table, no rows, other columns than in ``fit``, or an array that is not of finite numbers.
    """
    if is_pandas(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        names = list(X.columns)
        if len(X) == 0:
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
        if not all(isinstance(name, str) for name in names):
            X = X.set_axis(names_of_array(len(names)), axis=1)
        return read_table(X, allow_outside=estimator.allow_outside, allow_remote=estimator.allow_remote), False
    is_table = isinstance(X, Mapping | Table) or hasattr(X, "__arrow_c_stream__") or is_records(X)
    if is_table and not issparse(X):  # some sparse matrices are dictionaries
        table = read_table(X, allow_outside=estimator.allow_outside, allow_remote=estimator.allow_remote)
        if reset:
            estimator.n_features_in_ = len(table.column_names)
            estimator.feature_names_in_ = np.array(table.column_names, dtype=object)
        return table, False
    kind = getattr(X, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind in "UO" and _has_text(X):
        raise ValueError(
            "X is an array that holds text, whose columns have no names; give a data frame or a dictionary of columns, "
            "such as {'text': [...], 'price': [...]}"
        )
    array = validate_data(
        estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
    )  # fmt: skip
    columns = {name: array[:, i] for i, name in enumerate(names_of_array(array.shape[1]))}
    if np.isinf(array).any():
        raise ValueError("Input X contains infinity or a value too large; NaN counts as missing")
    return read_table(columns), True


def _has_text(X: Any) -> bool:
    """Whether a cell of an array is a text that is no number."""
    for cell in np.asarray(X).flat:
        if isinstance(cell, str):
            try:
                float(cell)
            except ValueError:
                return True
    return False


def is_pandas(X: Any) -> bool:
    """Whether it is a pandas data frame; does not import pandas."""
    return type(X).__module__.partition(".")[0] == "pandas" and hasattr(X, "columns")


def is_records(X: Any) -> bool:
    """Whether it is a list of dictionaries."""
    return isinstance(X, list) and len(X) > 0 and all(isinstance(row, Mapping) for row in X)


def names_of_array(count: int) -> list[str]:
    """Names of the columns of an array: x0, x1 and so on."""
    return [f"x{number}" for number in range(count)]


def choosing_rows(strata: np.ndarray | None, count: int, share: float, random_state: Any) -> list[str]:
    """Which rows train and which choose the epoch and the members: "train" or "val" for each.

    Args:
        strata: Class number of each row, of each of which the share is taken; None: of all rows together.
        count: How many rows.
        share: Above 0 and below 1: of a class with too few rows none is taken, but one at least of all together.
        random_state: As scikit-learn takes it.

    Raises:
        ValueError: The share is out of range.

    Example:
        >>> choosing_rows(np.array([0, 0, 1, 1]), 4, 0.5, 0).count("val")
        2
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_fraction is {share!r}; expected above 0 and below 1")
    chosen, draw = np.array(["train"] * count, dtype=object), check_random_state(random_state)
    for stratum in np.unique(strata) if strata is not None else [None]:
        places = np.arange(count) if stratum is None else np.flatnonzero(strata == stratum)
        taken = min(int(round(share * len(places))), len(places) - 1)
        chosen[draw.permutation(places)[:taken]] = "val"
    if count > 1 and "val" not in chosen:
        classes, counts = np.unique(strata if strata is not None else np.zeros(count), return_counts=True)
        largest = np.arange(count) if strata is None else np.flatnonzero(strata == classes[counts.argmax()])
        chosen[draw.choice(largest)] = "val"
    return list(chosen)
