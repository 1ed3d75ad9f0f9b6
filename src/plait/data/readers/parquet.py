"""Parquet files, whose size is counted before they are unpacked, and again while they are.

The metadata tell the size of every column, and so does the header of each page; what is larger counts, for the two are
written by whoever made the file. Text and bytes that point into a dictionary tell nothing, as one long value may stand
in a million rows. Those are first read as pointers, and their bytes summed. Rows are then decoded part by part, until
all are there or the limit is passed.

A file may be read piece by piece too, which takes the memory of a piece; the limit then holds for each row group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plait.data.readers.budget import Budget
from plait.data.readers.parquet_pages import read_pages
from plait.data.unpacked_size import unpacked_bytes

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 4  # bytes a text or list takes beside its own
_ROWS_AT_ONCE = 256  # where each value may repeat all of the one before
_PART = 1 << 25  # bytes decoded between two looks at the limit, about
_MOST_ROWS = 1 << 16
_BUFFER = 1 << 20  # of a column of a file that is read piece by piece


def read_parquet(path: Path, budget: Budget) -> pa.Table:
    """Read a file.

    Raises:
        TableTooLargeError: It unpacks to more than the budget.
        pyarrow.ArrowException: It is broken.
    """
    file = pq.ParquetFile(path)
    meta, before = file.metadata, budget.used
    _take(file, path, budget, range(meta.num_row_groups))
    decoded = replace(budget, used=before)
    rows = meta.num_rows * _PART // max(_PART, budget.used - before)
    parts = []
    for part in file.iter_batches(min(_MOST_ROWS, max(1, rows))):
        decoded.take(sum(unpacked_bytes(column) for column in part.columns))
        parts.append(part)
    return pa.Table.from_batches(parts, file.schema_arrow)


def parquet_pieces(
    path: Path, *, rows: int, most_bytes: int, first: int = 0, columns: Collection[str] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """The rows of a file in order, some at a time.

    Args:
        path: The file.
        rows: Most rows of a piece.
        most_bytes: Bytes after which a piece ends before it has so many.
        first: The row to begin at; from an end of a piece on, pieces are those of a reading from the start.
        columns: Those to read; None: all.

    Yields:
        The number of the first row of a piece, and the piece.

    Raises:
        TableTooLargeError: A row group unpacks to more than the budget of a table.
        pyarrow.ArrowException: The file is broken.
    """
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:
        schema = file.schema_arrow
        kept = [field for field in schema if columns is None or field.name in columns]
        schema = pa.schema(kept, schema.metadata)
        parts: list[pa.RecordBatch] = []
        held = size = 0
        for batch in _batches(file, path, first, schema.names):
            while len(batch):
                taken = batch.slice(0, rows - held)
                parts.append(taken)
                batch = batch.slice(len(taken))
                held, size = held + len(taken), size + sum(unpacked_bytes(column) for column in taken.columns)
                if held == rows or size >= most_bytes:
                    yield first, pa.Table.from_batches(parts, schema)
                    first += held
                    parts, held, size = [], 0, 0
        if parts:
            yield first, pa.Table.from_batches(parts, schema)


def _batches(file: pq.ParquetFile, path: Path, first: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows from the first on, a row group after the other, some MB at a time."""
    begin = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        skipped = max(0, first - begin)
        begin += count
        if skipped >= count:
            continue
        budget = Budget.of(path, path.stat().st_size)
        _take(file, path, budget, [group])
        at_once = min(_MOST_ROWS, max(1, count * _PART // max(_PART, budget.used)))
        decoded = replace(budget, used=0)
        for batch in file.iter_batches(at_once, [group], columns=names):
            decoded.take(sum(unpacked_bytes(column) for column in batch.columns))
            if skipped < len(batch):
                yield batch.slice(skipped)
            skipped = max(0, skipped - len(batch))


def _take(file: pq.ParquetFile, path: Path, budget: Budget, groups: Sequence[int]) -> None:
    """Count what row groups unpack to."""
    meta, size = file.metadata, path.stat().st_size
    pointed: dict[str, int] = {}
    prefixed: dict[str, None] = {}
    with open(path, "rb") as raw:
        for group in groups:
            for place in range(meta.num_columns):
                chunk = meta.row_group(group).column(place)
                name, pages = chunk.path_in_schema, read_pages(raw, chunk, size)
                unpacked = max(pages.unpacked, chunk.total_uncompressed_size)
                values = max(pages.values, chunk.num_values)
                width = _width(chunk, file.schema.column(place))
                if width is not None:
                    budget.take(max(values * width, pages.unpacked), f"column {name!r}")
                    continue
                budget.take(unpacked + values * _OFFSET, f"column {name!r}")
                if pages.repeats_prefixes:
                    prefixed[name] = None
                elif pages.points:
                    pointed[name] = pointed.get(name, 0) + values * unpacked
    for name in prefixed:
        for batch in file.iter_batches(_ROWS_AT_ONCE, list(groups), columns=[name]):
            budget.take(batch.nbytes, f"column {name!r}")
    if sum(pointed.values()) <= budget.limit - budget.used:
        return
    as_pointers = pq.ParquetFile(path, read_dictionary=list(pointed))
    for name in pointed:
        for group in groups:
            for column in as_pointers.read_row_group(group, columns=[name]).columns:
                for part in column.chunks:
                    budget.take(unpacked_bytes(part), f"column {name!r}")


def _width(chunk: Any, column: Any) -> int | None:
    """Bytes that a value of a column takes; None where they differ."""
    if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(column.length)
    return _WIDTHS.get(chunk.physical_type)
