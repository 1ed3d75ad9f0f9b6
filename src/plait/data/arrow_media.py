"""Arrow columns that hold decoded pictures or sounds, as columns of files: lists of pixels, structs of samples.

Data frames, Parquet files and datasets may hold what :mod:`plait.data.objects` turns in Python values; here it is
turned column by column, without making a Python number of every pixel. A column of which one cell cannot be turned is
left as it is, so that a table with a column that nobody uses can still be read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plait.data.arrow_types import is_list, list_depth
from plait.data.pixels import is_picture_shape, picture_bytes
from plait.data.samples import sound_bytes

_FILE = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])


def as_media(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with pictures as PNG and sounds as WAV; itself where it holds neither."""
    if list_depth(column.type) == 3:
        return _pictures(column)
    if pa.types.is_struct(column.type):
        names = {field.name for field in column.type}
        if {"array", "sampling_rate"} <= names:
            return _sounds(column)
    return column


def _pictures(column: pa.ChunkedArray) -> pa.ChunkedArray:
    made: list[bytes | None] = []
    for cell in _cells(column):
        array = None if cell is None else _dense(cell)
        if cell is not None and (array is None or not is_picture_shape(array.shape)):
            return column
        try:
            made.append(None if array is None else picture_bytes(array))
        except ValueError:
            return column
    return pa.chunked_array([pa.array(made, pa.large_binary())])


def _sounds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    names = [field.name for field in column.type]
    made: list[dict[str, Any] | None] = []
    for row, cell in enumerate(_structs(column)):
        file = {name: cell[name].as_py() if name in names else None for name in ("bytes", "path")}
        array = cell["array"]
        if not array.is_valid:
            made.append(file if file["bytes"] or file["path"] else None)
            continue
        samples = _dense(array.values) if is_list(array.type) else None
        if samples is None:
            return column
        try:
            content = sound_bytes({"array": samples, "sampling_rate": cell["sampling_rate"].as_py()})
        except ValueError as error:
            raise ValueError(f"row {row} holds {error}") from error
        made.append({"bytes": content, "path": file["path"]})
    return pa.chunked_array([pa.array(made, _FILE)])


def _cells(column: pa.ChunkedArray) -> Any:
    """The list in each row as an Arrow array; None where it is missing."""
    for chunk in column.chunks:
        for scalar in chunk:
            yield scalar.values if scalar.is_valid else None


def _structs(column: pa.ChunkedArray) -> Any:
    missing = {field.name: pa.scalar(None, field.type) for field in column.type}
    for chunk in column.chunks:
        for scalar in chunk:
            yield scalar if scalar.is_valid else missing


def _dense(values: pa.Array) -> np.ndarray[Any, Any] | None:
    """Lists in lists as an array of as many dimensions; None where a value is missing or lengths differ."""
    shape = [len(values)]
    while is_list(values.type):
        lengths = pc.list_value_length(values)
        ends = pc.min_max(lengths)
        if values.null_count or not len(values) or ends["min"].as_py() != ends["max"].as_py():
            return None
        shape.append(ends["min"].as_py())
        values = values.flatten()
    if values.null_count or pa.types.is_decimal(values.type):
        return None
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)
