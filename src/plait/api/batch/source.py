"""The rows of a batch, part by part, each value read as if the table were read whole.

A Parquet file and a large CSV file are read piece by piece, and only the columns that the model needs. What a column as
a whole decides (the type of a column of a CSV file; a decimal mark or an order of day and month other than in training)
is counted in first passes. Any other source is read whole and then cut.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.api.chunks import CHUNK_ROWS
from plait.api.decimal_commas import other_marks, read_with_mark, readings_with, text_columns
from plait.api.reading import check_columns, open_table, reading_settings, warn_of_absent_columns
from plait.api.turned_dates import doubt_turned_dates, turned_columns
from plait.data.doubts import OtherMark, TurnedDates
from plait.data.memory import available_memory, bound
from plait.data.readers.delimited_pieces import ScannedFile
from plait.data.readers.parsed import TextReading
from plait.data.remote.objects import RemoteObjects
from plait.data.table import Table
from plait.data.table_pieces import can_be_pieced, can_be_scanned, head_of, scan_table, scanned_pieces, table_pieces
from plait.files import file_sha256
from plait.training.fitted import FittedParts

PART_ROWS = 16 * CHUNK_ROWS
PART_BYTES = 1 << 27  # of a part's cells, after which it ends before it has its rows
PIECED_FROM = 1 << 22  # bytes from which a CSV file is read piece by piece; smaller ones are read whole, in one pass
_FOOTER = 8  # bytes at the end of a Parquet file: the length of its footer, and a mark


@dataclass(frozen=True)
class TablePart:
    """Some rows of the table.

    Attributes:
        first: How many rows of the table stand before them.
        table: The rows, which keep their numbers in the source.
    """

    first: int
    table: Table


@dataclass(frozen=True)
class RowSource:
    """A table to be predicted part by part.

    Attributes:
        name: Its name, for messages.
        rows: Its rows, without those that could not be parsed.
        identity: What tells it from another or a changed one.
        is_pieced: Whether it is read piece by piece; otherwise it is in memory as a whole.
        whole: The table, where it is.
        path: The file, where it is read piece by piece.
        scanned: Of a CSV file, what a first pass over it told.
        columns: Columns that are read of it.
        allow_outside: Whether its cells may name files outside its folder.
        remote: What brings the objects whose addresses its cells hold; None: addresses are refused.
        part_rows: Most rows of a part.
        decimal: Decimal mark of its numbers, where one is given.
        schema: Columns of the training table.
        marks: Text columns that the model reads as numbers, with what was counted of them.
        dates: Text columns that it reads as dates, likewise.
    """

    name: str
    rows: int
    identity: dict[str, Any]
    part_rows: int
    whole: Table | None = None
    path: Path | None = None
    scanned: ScannedFile | None = None
    columns: frozenset[str] = frozenset()
    allow_outside: bool = False
    remote: RemoteObjects | None = None
    decimal: str | None = None
    schema: Any = None
    marks: dict[str, OtherMark] | None = None
    dates: dict[str, TurnedDates] | None = None

    @property
    def is_pieced(self) -> bool:
        """Whether it is read piece by piece."""
        return self.path is not None

    def parts(self, first: int = 0) -> Iterator[TablePart]:
        """The parts in order, from the one that begins after so many rows.

        Raises:
            ValueError: The file is broken, or was changed meanwhile.
        """
        if self.whole is not None:
            yield from _slices(self.whole, self.part_rows, first)
            return
        for table in self._pieces(self.columns, first):
            table = read_with_mark(table, self.schema, self.decimal, self.marks)
            yield TablePart(first, doubt_turned_dates(table, self.schema, self.dates))
            first += len(table)

    def check_unchanged(self) -> None:
        """Make sure that a file which was read piece by piece is still the one that was opened.

        Raises:
            ValueError: It was changed meanwhile, so the parts may be of two tables.
        """
        if self.path is not None and _identity(self.path, self.scanned) != self.identity:
            raise ValueError(
                f"{self.name} was changed while it was read, so the parts may be of two tables; type the same with "
                "overwrite=True"
            )

    def _pieces(self, columns: frozenset[str], first: int = 0) -> Iterator[Table]:
        assert self.path is not None
        how: dict[str, Any] = {
            "columns": columns, "rows": self.part_rows, "most_bytes": _bytes_of_a_part(), "first": first,
            "allow_outside": self.allow_outside, "remote": self.remote,
        }  # fmt: skip
        if self.scanned is not None:
            return scanned_pieces(self.scanned, **how)
        return table_pieces(self.path, source=self.name, **how)

    def counted(self) -> RowSource:
        """The source with what its columns as wholes decide."""
        assert self.path is not None
        head = next(iter(self._pieces(self.columns)))
        texts = text_columns(head.arrow.schema)
        marks = other_marks(texts, self.schema) if self.decimal is None else {}
        dates = turned_columns(texts, self.schema)
        if marks or dates:
            for table in self._pieces(frozenset(marks) | frozenset(dates)):
                for name, mark in marks.items():
                    mark.count(table.column(name))
                for name, turned in dates.items():
                    turned.count(table.column(name), table.row_number)
            for found in (*marks.values(), *dates.values()):
                found.warn()
        return replace(self, marks=marks if self.decimal is None else other_marks(texts, self.schema), dates=dates)


def missing_parts(source: RowSource, there: Mapping[int, tuple[int, int]]) -> Iterator[tuple[int, TablePart]]:
    """The parts that are not there yet, with their numbers; those at the beginning that are there are not read.

    Args:
        source: The table.
        there: Of each part that is whole, by its number: how many rows stand before it, and how many are in it.
    """
    number, first = whole_until(there)
    if first >= source.rows:
        return
    for part in source.parts(first):
        if there.get(number) != (part.first, len(part.table)):
            yield number, part
        number += 1


def whole_until(there: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """How many parts from the first one on follow each other without a gap, and how many rows they have."""
    number = first = 0
    while number in there and there[number][0] == first:
        first += there[number][1]
        number += 1
    return number, first


def rows_of_a_part(chunk_rows: int) -> int:
    """Rows to read at once where so many are answered at once: whole chunks, so that these fall as in one piece.

    Raises:
        ValueError: ``chunk_rows`` is no whole number from 1 on.
    """
    if isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int) or chunk_rows < 1:
        raise ValueError(f"chunk_rows must be a whole number of rows from 1 on, got {chunk_rows!r}")
    return chunk_rows * max(1, PART_ROWS // chunk_rows)


def _bytes_of_a_part() -> int:
    """Bytes of cells to read at once: less under a bound of memory that leaves little."""
    holds = bound()
    return PART_BYTES if holds is None or not holds.is_given else min(PART_BYTES, available_memory() // 16)


def open_rows(
    fitted: FittedParts, table: Any, *, format: str | None, encoding: str | None, allow_outside: bool,
    allow_remote: bool,
    set: list[str], part_rows: int, is_known_again: bool = True,
) -> RowSource:  # fmt: skip
    """Open a table for its parts.

    Args:
        fitted: The model.
        table: Anything ``plait.data.table.read_table`` takes.
        format: Format of a file.
        encoding: Encoding of a text file.
        allow_outside: Whether cells may name files outside the table's folder.
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        set: As for :meth:`plait.Plait.predict`, with the decimal mark among them.
        part_rows: Most rows of a part.
        is_known_again: Whether what tells it from another table is wanted, which takes reading it.

    Raises:
        ValueError: It cannot be read, or has none of the model's columns.

    Warns:
        UserWarning: Of what :meth:`plait.Plait.predict` warns of, columns that are absent among them.
    """
    scanned, data = None, None
    if encoding is None and (can_be_pieced(table, format) or _is_large(table, format)):
        data = reading_settings(
            fitted, table, format, encoding, allow_outside=allow_outside, allow_remote=allow_remote, set=set,
        )  # fmt: skip
    wanted = {c for m in fitted.inputs.modalities for c in m.columns} | {fitted.schema.id}
    if data is not None and not can_be_pieced(table, format):
        text = TextReading(
            None, data.decimal, readings_with(fitted.schema.readings, data.decimal), usual=data.delimiter
        )  # fmt: skip
        scanned = scan_table(Path(table), str(table), wanted, text, format=format, columns=data.columns)
        data = None if scanned is None else data
    if data is None:
        opened = open_table(fitted, table, format, encoding, allow_outside, allow_remote, set)
        warn_of_absent_columns(fitted, opened, table)
        return RowSource(
            opened.source, len(opened), _identity(table, opened) if is_known_again else {}, part_rows, whole=opened
        )
    path = Path(table)
    schema, rows = head_of(path) if scanned is None else (scanned.schema, scanned.rows)
    head = Table(schema.empty_table(), path.parent.absolute(), str(table))
    check_columns(fitted, head)
    warn_of_absent_columns(fitted, head, table)
    source = RowSource(
        str(table), rows, _identity(table, scanned) if is_known_again else {}, part_rows, path=path, scanned=scanned,
        columns=frozenset(wanted & {*schema.names}),
        allow_outside=allow_outside, remote=RemoteObjects() if allow_remote else None,
        decimal=data.decimal, schema=fitted.schema,
    )  # fmt: skip
    return source.counted()


def _is_large(table: Any, format: str | None) -> bool:
    """Whether a table is a CSV file that is worth two passes."""
    return can_be_scanned(table, format) and os.path.getsize(table) >= PIECED_FROM


def _slices(table: Table, part_rows: int, first: int) -> Iterator[TablePart]:
    """Parts of a table in memory; lines that could not be parsed go with the row before which they stand."""
    unparsed = sorted(table.bad_rows, key=lambda bad: bad.row)
    if unparsed and table.row_numbers is not None:
        order = np.argsort(np.asarray(table.row_numbers), kind="stable")
        table = table if (order == np.arange(len(order))).all() else table.take(order)
    for start in range(first, len(table), part_rows):
        end = min(start + part_rows, len(table))
        low = table.row_number(start) if start else -1
        high = table.row_number(end) if end < len(table) else None
        here = tuple(one for one in unparsed if one.row >= low and (high is None or one.row < high))
        numbers = tuple(table.row_number(i) for i in range(start, end))
        cut = replace(table, arrow=table.arrow.slice(start, end - start), row_numbers=numbers, bad_rows=here)
        yield TablePart(start, cut)


def _identity(table: Any, opened: Table | ScannedFile | None) -> dict[str, Any]:
    """What tells a source from another one: of Parquet its footer, which names every page, and when it was changed."""
    if not isinstance(table, str | Path):
        assert isinstance(opened, Table)
        return {"kind": "memory", "sha256": _arrow_sha256(opened.arrow)}
    path = Path(table)
    if os.path.isdir(path):
        listing = hashlib.sha256()
        for one in sorted(p for p in path.rglob("*") if p.is_file()):
            fact = one.stat()
            listing.update(f"{one.relative_to(path).as_posix()}\0{fact.st_size}\0{fact.st_mtime_ns}\n".encode())
        return {"kind": "folder", "sha256": listing.hexdigest()}
    fact = path.stat()
    if opened is not None:
        return {"kind": "file", "bytes": fact.st_size, "sha256": file_sha256(path)}
    with path.open("rb") as file:
        file.seek(max(0, fact.st_size - _FOOTER))
        length = min(fact.st_size, int.from_bytes(file.read(4), "little") + _FOOTER)
        file.seek(fact.st_size - length)
        footer = hashlib.sha256(file.read()).hexdigest()
    return {"kind": "parquet", "bytes": fact.st_size, "changed_ns": fact.st_mtime_ns, "footer_sha256": footer}


def _arrow_sha256(table: pa.Table) -> str:
    """The hash of a table's values and types."""
    found = hashlib.sha256(str(table.schema).encode())
    for batch in table.to_batches(max_chunksize=65_536):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        found.update(sink.getvalue())
    return found.hexdigest()
