"""A CSV or TSV file read some rows at a time, with every value typed as if the file were read whole.

A first pass over the file parses every row and keeps, of each column that is wanted, what all cells together say of its
type (:mod:`plait.data.readers.scanned_column`); later passes hand out the rows. So memory takes some thousand rows,
however many the file has, and each pass takes the time of parsing. What cannot be told in one pass leaves the file to
:func:`plait.data.readers.delimited.read_delimited`, which reads it whole (:func:`scan_delimited` returns None):
encodings other than UTF-8, packed files, quotes in a TSV, and columns of numbers with marks that training did not know.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from plait.data.readers.budget import MAX_CELL_BYTES
from plait.data.readers.delimited import (
    SNIFFED,
    allow_long_fields,
    found_delimiter,
    named_columns,
    parsed_rows,
    read_header,
)
from plait.data.readers.parsed import BadRow, Parsed, TextReading
from plait.data.readers.scanned_column import NeedsTheWholeError, ScannedColumn
from plait.data.values import ColumnReading

_ROWS = 4096  # parsed at a time
_OTHER = b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff"  # how packed files and UTF-16 begin


@dataclass(frozen=True)
class ScannedFile:
    """A delimited file of which every row was parsed once.

    Attributes:
        path: The file.
        source: Its name, for messages.
        delimiter: What stands between its fields.
        header: Its columns.
        has_header: Whether its first line names them.
        columns: What all cells say, by column that is wanted.
        rows: Rows that can be parsed.
        bad_rows: How many cannot.
    """

    path: Path
    source: str
    delimiter: str
    header: tuple[str, ...]
    has_header: bool
    columns: Mapping[str, ScannedColumn]
    rows: int
    bad_rows: int

    @property
    def schema(self) -> pa.Schema:
        """The columns, of those that are wanted with their types."""
        fields = [
            (name, self.columns[name].typed([]).type if name in self.columns else pa.string()) for name in self.header
        ]
        return pa.schema(fields)

    def pieces(
        self, *, rows: int, most_bytes: int, first: int = 0, columns: Collection[str] | None = None
    ) -> Iterator[tuple[int, Parsed]]:
        """The rows in order, some at a time, with the number of parsed rows before them.

        A line that cannot be parsed goes with the row before it; those before the first row go with that.

        Args:
            rows: Most rows of a piece.
            most_bytes: Letters of their cells after which a piece ends before it has so many.
            first: Parsed rows to leave out; an end of a piece.
            columns: Columns to hand out, of those that are wanted; None: all of these.
        """
        names = [name for name in self.header if name in self.columns and (columns is None or name in columns)]
        places = [self.header.index(name) for name in names]
        kept: list[list[str]] = []
        blocks: list[pa.Table] = []
        numbers: list[int] = []
        bad: list[BadRow] = []
        size = seen = 0

        def typed() -> pa.Table:
            cells = [[row[i] for row in kept] for i in range(len(places))]
            made = {name: self.columns[name].typed(column) for name, column in zip(names, cells, strict=True)}
            kept.clear()
            return pa.table(made)

        def finished() -> tuple[int, Parsed]:
            nonlocal size
            if kept or not blocks:
                blocks.append(typed())
            readings = {name: self.columns[name].reading() for name in names}
            joined = pa.concat_tables(blocks, promote_options="permissive")  # text in wide offsets beside others
            made = Parsed(joined, tuple(bad), tuple(numbers), readings)
            before = seen - len(numbers)
            for one in (blocks, numbers, bad):
                one.clear()
            size = 0
            return before, made

        with self._open() as file:
            for number, fields in self._rows(file):
                if isinstance(fields, BadRow):
                    if seen > first or first == 0:
                        bad.append(fields)
                    continue
                if seen < first:
                    seen += 1
                    continue
                if numbers and (len(numbers) >= rows or size >= most_bytes):
                    yield finished()
                seen += 1
                kept.append([fields[place] for place in places])
                numbers.append(number)
                size += sum(map(len, kept[-1]))
                if len(kept) == _ROWS:
                    blocks.append(typed())
            if numbers:
                yield finished()

    def _open(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", newline="")

    def _rows(self, file: TextIO) -> Iterator[tuple[int, list[str] | BadRow]]:
        reader = csv.reader(_lines(file), delimiter=self.delimiter, strict=True)
        header = read_header(reader, self.source) if self.has_header else list(self.header)
        return parsed_rows(reader, header, self.source)


def scan_delimited(
    path: Path, source: str, wanted: Collection[str], how: TextReading, delimiter: str | None, columns: Sequence[str]
) -> ScannedFile | None:
    """Parse a file once; None where it has to be read whole.

    Args:
        path: The file.
        source: Its name, for messages.
        wanted: Columns whose cells are read.
        how: How they are read.
        delimiter: What stands between fields; None finds it in the first rows.
        columns: Names of the columns of a file without a header line.

    Raises:
        ValueError: A header that cannot be read, a quote that is never closed, no row that can be parsed.
    """
    with path.open("rb") as raw:
        if raw.read(2) in _OTHER or how.categorical:
            return None
    allow_long_fields()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = "".join(islice(_lines(file), SNIFFED + 1))
            if not head.strip():
                return None
            delimiter = found_delimiter(head, source, how, columns, how.delimiter or delimiter)
            file.seek(0)
            lines = _lines(file, refused='"\0' if delimiter == "\t" else "\0")
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            named = named_columns(head, source, delimiter, columns) if columns else None
            header = named or read_header(reader, source)
            found = {name: ScannedColumn(name, _known(how, name)) for name in header if name in wanted}
            rows, bad = _count(parsed_rows(reader, header, source), header, found)
        for column in found.values():
            column.reading()
    except (UnicodeDecodeError, NeedsTheWholeError):
        return None
    if rows == 0:
        return None
    for column in found.values():
        column.warn()
    return ScannedFile(path, source, delimiter, tuple(header), named is None, found, rows, bad)


def _known(how: TextReading, name: str) -> ColumnReading | None:
    return ColumnReading("text") if name in how.text else how.readings.get(name)


def _count(parsed: Any, header: list[str], found: Mapping[str, ScannedColumn]) -> tuple[int, int]:
    """Let each column look at its cells; how many rows could be parsed, and how many not."""
    places = {name: header.index(name) for name in found}
    waiting: list[list[str]] = []
    rows = bad = 0

    def look() -> None:
        for name, place in places.items():
            found[name].count([fields[place] for fields in waiting])
        waiting.clear()

    for _, fields in parsed:
        if isinstance(fields, BadRow):
            bad += 1
            continue
        rows += 1
        waiting.append(fields)
        if len(waiting) == _ROWS:
            look()
    look()
    return rows, bad


def _lines(file: TextIO, refused: str = "\0") -> Iterator[str]:
    """The lines of a file with their ends, without blank ones at its end.

    Raises:
        NeedsTheWholeError: A line is longer than a cell may be, or holds one of the characters that are refused.
    """
    blank: list[str] = []
    while line := file.readline(MAX_CELL_BYTES):
        if len(line) == MAX_CELL_BYTES or any(one in line for one in refused):
            raise NeedsTheWholeError("a line")
        if not line.strip("\r\n"):
            blank.append(line)
            continue
        yield from blank
        blank.clear()
        yield line
