"""Arrow arrays of few values, made without pandas.

pyarrow imports pandas, where it is installed, at the first array that is made of a list or of numpy: longer than most
small tables take. Arrays of few texts, numbers and truth values are put together from their bytes instead, value for
value those of ``pyarrow.array``; longer ones, and all where pandas is there already, are made by it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

FEW = 10_000
_NUMBERS = {pa.int64(): np.int64, pa.float64(): np.float64}
_TEXTS = {pa.string(): np.int32, pa.large_string(): np.int64}


def small_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as ``pyarrow.array(values, kind)`` makes them; None is null.

    Raises:
        pyarrow.ArrowException, TypeError, ValueError: As ``pyarrow.array``, where a value is not of the kind.

    Example:
        >>> small_array(["a", None], pa.string()).to_pylist()
        ['a', None]
    """
    made = None if len(values) > FEW or "pandas" in sys.modules else _put_together(values, kind)
    return pa.array(values, kind) if made is None else made


def small_numbers(values: np.ndarray, is_null: np.ndarray) -> pa.Array:
    """Numbers [N] float64 as ``pyarrow.array(values, mask=is_null)`` makes them."""
    if len(values) > FEW or "pandas" in sys.modules or values.dtype != np.float64:
        return pa.array(values, mask=is_null)
    return _array(pa.float64(), np.where(is_null, 0.0, values), is_null)


def positions(rows: np.ndarray | Sequence[int]) -> pa.Array:
    """Row numbers as ``take`` wants them, int64."""
    held = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(held), [None, pa.py_buffer(held)], 0)


def _put_together(values: Sequence[Any], kind: pa.DataType) -> pa.Array | None:
    """None: not of a kind, or of values, that is known here."""
    is_null = np.array([value is None for value in values], dtype=bool)
    given = {type(value) for value in values} - {type(None)}
    if kind in _TEXTS and given <= {str}:
        try:
            parts = [b"" if value is None else value.encode() for value in values]
        except UnicodeEncodeError:
            return None
        ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        if ends[-1] > np.iinfo(np.int32).max:
            return None
        return _array(kind, ends.astype(_TEXTS[kind]), is_null, b"".join(parts))
    if kind == pa.bool_() and given <= {bool}:
        return _array(kind, np.packbits([bool(value) for value in values], bitorder="little"), is_null)
    if kind in _NUMBERS and given <= ({int} if kind == pa.int64() else {float}):
        try:
            return _array(kind, np.array([0 if v is None else v for v in values], dtype=_NUMBERS[kind]), is_null)
        except OverflowError:
            return None
    return None


def _array(kind: pa.DataType, held: np.ndarray, is_null: np.ndarray, text: bytes | None = None) -> pa.Array:
    nulls = int(is_null.sum())
    there = pa.py_buffer(np.packbits(~is_null, bitorder="little")) if nulls else None
    buffers = [there, pa.py_buffer(held), *([] if text is None else [pa.py_buffer(text)])]
    return pa.Array.from_buffers(kind, len(is_null), buffers, nulls)
