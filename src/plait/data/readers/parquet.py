"""Parquet files, whose size is known before they are unpacked.

The metadata tell the size of every column but one kind: text and bytes that point into a dictionary, where one long
value may stand in a million rows. Those are first read as pointers, and their bytes summed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plait.data.readers.budget import Budget
from plait.data.unpacked_size import unpacked_bytes

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 4  # bytes a text or list takes beside its own
_PREFIXES = "DELTA_BYTE_ARRAY"  # an encoding by which each value repeats the one before
_ROWS_AT_ONCE = 256


def read_parquet(path: Path, budget: Budget) -> pa.Table:
    """Read a file.

    Raises:
        TableTooLargeError: It unpacks to more than the budget.
        pyarrow.ArrowException: It is broken.
    """
    file = pq.ParquetFile(path)
    _take(file, path, budget)
    return file.read()


def _take(file: pq.ParquetFile, path: Path, budget: Budget) -> None:
    """Count what a file unpacks to."""
    meta = file.metadata
    pointed: dict[str, int] = {}
    prefixed: dict[str, int] = {}
    for group in range(meta.num_row_groups):
        for place in range(meta.num_columns):
            chunk = meta.row_group(group).column(place)
            name = chunk.path_in_schema
            width = _width(chunk, file.schema.column(place))
            if width is not None:
                budget.take(chunk.num_values * width, f"column {name!r}")
                continue
            budget.take(chunk.total_uncompressed_size + chunk.num_values * _OFFSET, f"column {name!r}")
            if _PREFIXES in chunk.encodings:
                prefixed[name] = place
            elif chunk.has_dictionary_page:
                pointed[name] = pointed.get(name, 0) + chunk.num_values * chunk.total_uncompressed_size
    for name in prefixed:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[name]):
            budget.take(batch.nbytes, f"column {name!r}")
    if sum(pointed.values()) <= budget.limit - budget.used:
        return
    as_pointers = pq.ParquetFile(path, read_dictionary=list(pointed))
    for name in pointed:
        for group in range(meta.num_row_groups):
            for column in as_pointers.read_row_group(group, columns=[name]).columns:
                for part in column.chunks:
                    budget.take(unpacked_bytes(part), f"column {name!r}")


def _width(chunk: Any, column: Any) -> int | None:
    """Bytes that a value of a column takes; None where they differ."""
    if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(column.length)
    return _WIDTHS.get(chunk.physical_type)
