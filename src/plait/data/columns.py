"""Columns made from Python values: of lists, of a dictionary of lists, of a list of dictionaries.

In: values as users and JSON hold them. Out: Arrow columns of one type each; what a column cannot hold is named by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def make_column(name: str, values: list[Any]) -> pa.Array:
    """Python values as one Arrow column.

    Raises:
        ValueError: Values of mixed types or of a type that a table cannot hold; the message names the row.
    """
    values = [str(v) if isinstance(v, Path) else v.tolist() if _is_nested(v) else v for v in values]
    values = [_moment(v) if isinstance(v, np.datetime64) else v for v in values]
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"column {name!r}: {_odd_value(values) or error}") from error


def from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    """A dictionary of columns as a table.

    Raises:
        ValueError: A name that is no text, a column that is no list of values, or columns of different lengths.
    """
    made: dict[str, pa.Array] = {}
    for name, values in columns.items():
        if not isinstance(name, str):
            raise ValueError(f"column name {name!r} is {type(name).__name__}; expected text")
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise ValueError(f"column {name!r} is {type(values).__name__}; expected a list of values")
        made[name] = make_column(name, list(values))
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths {lengths}; expected one value a row in each")
    return pa.table(made)


def from_records(records: list[Any], what: str) -> pa.Table:
    """A list of dictionaries as a table; a key that a record lacks is a missing value.

    Raises:
        ValueError: A record that is no dictionary (named by row), or a column of mixed types.
    """
    names: dict[str, None] = {}
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise ValueError(f"{what}: row {row} is {type(record).__name__}; expected a dictionary of values")
        for name in record:
            if not isinstance(name, str):
                raise ValueError(f"{what}: row {row} has the column name {name!r}; expected text")
            names[name] = None
    return pa.table({name: make_column(name, [record.get(name) for record in records]) for name in names})


def _moment(value: np.datetime64) -> Any:
    """A NumPy date as Python holds it, None where it is NaT; Arrow refuses lists that mix units."""
    return None if np.isnat(value) else value.astype("datetime64[us]").item()


def _is_nested(value: object) -> bool:
    """Whether a value is an array of two or more dimensions, which Arrow takes as lists only."""
    return isinstance(value, np.ndarray) and value.ndim > 1


def _odd_value(values: list[Any]) -> str | None:
    """Which row breaks the type of its column, in words; None when that is not the fault."""
    first: tuple[int, Any] | None = None
    for row, value in enumerate(values):
        if value is None or (isinstance(value, float) and value != value):
            continue
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return f"row {row} holds {str(value)[:40]}, beyond 64 bits; write it as text"
        if first is None:
            first = (row, value)
        if _family(value) is not _family(first[1]):
            return (
                f"row {first[0]} holds {type(first[1]).__name__} and row {row} holds {type(value).__name__} "
                f"({str(value)[:40]!r}); expected one type in the column"
            )
    return None


def _family(value: object) -> type:
    """The type of a value, whole and broken numbers taken together, truth values apart from both."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float if number else type(value)
