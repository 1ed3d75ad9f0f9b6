"""Columns made from Python values: of lists, of a dictionary of lists, of a list of dictionaries.

In: values as users and JSON hold them. Out: Arrow columns of one type each; what a column cannot hold is named by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.objects import as_array, as_files, is_tensor, plain_value
from plait.data.pixels import is_picture_shape, is_pil_image
from plait.data.samples import as_decoded_sound
from plait.data.values import is_unicode

_HELD = (
    str,
    bytes,
    bytearray,
    memoryview,
    bool,
    int,
    float,
    Decimal,
    date,
    time,
    timedelta,
    list,
    dict,
    set,
    np.generic,
    np.ndarray,
)


def make_column(name: str, values: list[Any]) -> pa.Array:
    """Python values as one Arrow column; pictures, sounds, tensors and paths as :mod:`plait.data.objects` turns them.

    Raises:
        ValueError: Values of mixed types or of a type that a table cannot hold; the message names the row.
    """
    try:
        return make_array(values)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from error


def make_array(values: list[Any]) -> pa.Array:
    """As :func:`make_column`, for values whose column the caller names.

    Raises:
        ValueError: As there.
    """
    plain: list[Any] = []
    for row, value in enumerate(values):
        try:
            plain.append(plain_value(value))
        except RecursionError as error:
            raise ValueError(f"row {row} holds lists nested too deeply") from error
        except ValueError as error:
            raise ValueError(f"row {row} holds {error}") from error
    plain = as_files(plain)
    try:
        made = pa.array(plain, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(_odd_value(plain) or str(error)) from error
    if pa.types.is_floating(made.type) and any(isinstance(value, bool | np.bool_) for value in plain):
        raise ValueError(_odd_value(plain))  # Arrow makes numbers of truth values that follow a broken number
    return made


def _array_column(name: str, array: np.ndarray[Any, Any]) -> pa.Array:
    """An array of one entry a row."""
    if array.ndim != 1 or array.dtype.kind in "OU":
        return make_column(name, array.tolist() if array.dtype.kind in "OU" else list(array))
    if isinstance(array, np.ma.MaskedArray):
        return pa.array(array.data, mask=np.ma.getmaskarray(array), from_pandas=True)
    if array.dtype.kind == "S":  # text of fixed width, not contents of files
        try:
            return pa.array(np.char.decode(array, "utf-8").tolist())
        except UnicodeDecodeError:
            return make_column(name, array.tolist())
    return pa.array(array, from_pandas=True)


def from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    """A dictionary of columns as a table.

    Raises:
        ValueError: A name that is no text, a column that is no list of values, or columns of different lengths.
    """
    made: dict[str, pa.Array] = {}
    _refuse_one_picture(columns)
    for name, values in columns.items():
        if not isinstance(name, str):
            raise ValueError(f"column name {name!r} is {type(name).__name__}; expected text")
        made[name] = _column(name, values)
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths {lengths}; expected one value a row in each")
    return pa.table(made)


def is_row(source: object) -> bool:
    """Whether a dictionary is one row: none of its values can be a column, and one at least can be nothing but a cell.

    Example:
        >>> is_row({"text": "a", "size": 1}), is_row({"text": ["a"], "size": [1]})
        (True, False)
    """
    if not isinstance(source, Mapping) or not source:
        return False
    if all(isinstance(value, np.ndarray) and _is_colour(value) for value in source.values()):
        return True
    if not any(_is_cell(value) for value in source.values()):
        return False
    return all(_is_cell(value) or getattr(value, "ndim", 0) in (2, 3) for value in source.values())


def _is_cell(value: Any) -> bool:
    """Whether a value is no list of others."""
    if isinstance(value, str | bytes | Mapping) or is_pil_image(value) or getattr(value, "ndim", 1) == 0:
        return True
    if as_decoded_sound(value) is not None:
        return True
    return not isinstance(value, Iterable) and not hasattr(value, "__array__")


def _is_colour(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array is one picture [H, W, 3 or 4] beyond doubt: as a column its lines would be three pixels wide."""
    return array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[0] > 4


def _refuse_one_picture(columns: Mapping[Any, Any]) -> None:
    """Refuse a dictionary of one picture, which would count as a column of its lines."""
    arrays = [v for v in columns.values() if hasattr(v, "__array__") and is_picture_shape(getattr(v, "shape", ()))]
    if arrays and len(arrays) == len(columns):
        name, shape = next(iter(columns)), list(arrays[0].shape)
        raise ValueError(
            f"column {name!r} is one array of shape {shape}; write [{{{name!r}: array}}] for one picture, or "
            f"{{{name!r}: list(array)}} for {shape[0]} of {shape[1]} x {shape[2]}"
        )


def _column(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes | Mapping | set | frozenset) or not isinstance(values, Iterable):
        raise ValueError(f"column {name!r} is {type(values).__name__}; expected a list of values (one row is [row])")
    if is_tensor(values) or isinstance(values, np.ndarray):
        try:
            array = as_array(values)
            assert array is not None
            if array.ndim == 0:
                raise ValueError("one value; expected a list of values")
            if array.ndim == 4 and is_tensor(values):  # so that each keeps its channels first
                return make_column(name, list(values))
            return _array_column(name, array)
        except (ValueError, pa.ArrowException) as error:
            raise ValueError(str(error) if str(error).startswith("column ") else f"column {name!r}: {error}") from error
    return make_column(name, _listed(values))


def _listed(values: Any) -> list[Any]:
    return values.tolist() if type(values).__name__ == "Series" and hasattr(values, "tolist") else list(values)


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
        if isinstance(value, str) and not is_unicode(value):
            return f"row {row} holds {value[:40]!r}, half a character (a lone surrogate); take it out"
        if not isinstance(value, _HELD):
            return (
                f"row {row} holds {type(value).__name__}, which no table holds; expected text, a number, true or "
                "false, a date, bytes, a path, a picture (a PIL image or an array of pixels), a sound ({'array': ..., "
                "'sampling_rate': ...}), or a list of these"
            )
    return None


def _family(value: object) -> type:
    """The type of a value, whole and broken numbers taken together, truth values apart from both."""
    if isinstance(value, bool | np.bool_):
        return bool
    return float if isinstance(value, int | float | np.number) else type(value)
