"""A file read piece by piece, each piece a table of its own: what is read takes the memory of a piece, not of the file.

Every value is read as :func:`plait.data.table.read_table` reads it. Parquet names the type of each column for the file
as a whole; of CSV a first pass over all rows tells it (:mod:`plait.data.readers.delimited_pieces`). Other formats are
read whole.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plait.data.readers.delimited_pieces import ScannedFile, scan_delimited
from plait.data.readers.formats import format_of, readable
from plait.data.readers.parquet import parquet_pieces
from plait.data.readers.parsed import Parsed, TextReading
from plait.data.remote.objects import RemoteObjects
from plait.data.table import Table, finished
from plait.files import require_regular_file


def can_be_pieced(source: Any, format: str | None = None) -> bool:
    """Whether a source is a file that can be read piece by piece: Parquet."""
    if not isinstance(source, str | Path) or os.path.isdir(source):
        return False
    return format_of(Path(source), format) == "parquet"


def can_be_scanned(source: Any, format: str | None = None) -> bool:
    """Whether a source is a CSV or TSV file as it stands, without packing, of which a first pass tells the types."""
    if not isinstance(source, str | Path) or not os.path.isfile(source) or str(source).lower().endswith(".gz"):
        return False
    return format_of(Path(source), format) in ("csv", "tsv")


def scan_table(
    path: Path, source: str, wanted: Collection[str], how: TextReading, *, format: str | None = None,
    columns: Sequence[str] = (),
) -> ScannedFile | None:  # fmt: skip
    """Tell the types of a CSV or TSV file by one pass over its rows; None where it has to be read whole.

    Args:
        path: The file.
        source: Its name in messages.
        wanted: Columns that will be read.
        how: How its text is cut and read.
        format: Its format, where its name does not tell it.
        columns: Names of the columns of a file without a header line.

    Raises:
        ValueError: It is broken as a whole.
    """
    with readable(path):
        delimiter = "\t" if format_of(path, format) == "tsv" else None
        return scan_delimited(path, source, wanted, how, delimiter, columns)


def scanned_pieces(
    scanned: ScannedFile, *, columns: Collection[str], rows: int, most_bytes: int, first: int = 0,
    allow_outside: bool = False, remote: RemoteObjects | None = None,
) -> Iterator[Table]:  # fmt: skip
    """The rows of a file that was scanned, as :func:`table_pieces` gives those of Parquet.

    Each piece starts after ``first`` rows that can be parsed and brings the lines among its own that cannot.
    """
    root = scanned.path.parent.absolute()
    with readable(scanned.path):
        for _, parsed in scanned.pieces(rows=rows, most_bytes=most_bytes, first=first, columns=columns):
            yield replace(finished(parsed, root, scanned.source, allow_outside), remote=remote)


def head_of(path: Path) -> tuple[pa.Schema, int]:
    """The columns of a Parquet file with their types, and its number of rows.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is broken, has no rows, no columns, or a name twice.
    """
    with readable(path):
        if require_regular_file(path, "table").st_size == 0:
            raise ValueError(f"{path}: the file is empty (0 bytes)")
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise ValueError(f"{path}: the columns {repeated} appear more than once; give each its own name")
    if not schema.names:
        raise ValueError(f"{path}: the table has no columns")
    if rows == 0:
        raise ValueError(f"{path}: the table has no rows that can be read")
    return schema, rows


def table_pieces(
    path: Path, *, source: str, columns: Collection[str], rows: int, most_bytes: int, first: int = 0,
    allow_outside: bool = False, remote: RemoteObjects | None = None,
) -> Iterator[Table]:  # fmt: skip
    """The rows of a Parquet file in order, as tables that keep their row numbers.

    Args:
        path: The file.
        source: Its name in messages.
        columns: Columns to read.
        rows: Most rows of a piece.
        most_bytes: Bytes after which a piece ends before it has so many.
        first: The row to begin at.
        allow_outside: Whether cells may name files outside the file's folder.
        remote: What brings the objects whose addresses cells hold; None: addresses are refused.

    Raises:
        ValueError: The file is broken, or a piece of it has values that cannot be read.
    """
    with readable(path):
        for start, arrow in parquet_pieces(path, rows=rows, most_bytes=most_bytes, first=first, columns=columns):
            end = start + arrow.num_rows
            try:
                table = finished(Parsed(arrow), path.parent.absolute(), source, allow_outside)
            except ValueError as error:
                if start == 0:
                    raise
                raise ValueError(f"rows {start} to {end - 1}, numbered from 0 here: {error}") from error
            yield replace(table, row_numbers=tuple(range(start, end)), remote=remote)
