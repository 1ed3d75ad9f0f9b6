"""CSV and TSV text to typed columns, row by row, without ever shifting a value into another column.

The first line names the columns, unless the caller names them. Between fields stands a comma, semicolon, tab or bar:
the one under which most rows have as many fields as the header, or the one that a line ``sep=;`` above it names. In a
TSV a quote opens a quoted field as in CSV; but where that breaks rows and every line has the right number of fields
without it, quotes are letters like any other (the definition of tab-separated values knows no quotes). A single column,
which every line would fit, is read as CSV.

A row with another number of fields than the header, or with broken quotes, is set aside with its number. Columns are
typed as wholes (``column_types``), each as the training table had it where there was one. Cells are kept as Arrow's
text until then, for a million strings of Python take ten times the memory.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa

from plait.data.readers.budget import MAX_CELL_BYTES
from plait.data.readers.column_types import read_columns
from plait.data.readers.parsed import BadRow, Parsed, TextReading
from plait.data.small_arrays import small_array
from plait.registry import counted

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.I)  # which Excel writes and reads before the header
SNIFFED = 100
_FIELD_LIMIT = MAX_CELL_BYTES  # photos as base64 text are far above the 128 KiB that csv allows
_LETTERS = 1 << 20  # of the text at a time
_ROWS = 4096  # held as strings of Python at a time


def read_delimited(
    text: str,
    source: str,
    delimiter: str | None,
    columns: Sequence[str] = (),
    *,
    how: TextReading | None = None,
) -> Parsed:
    """Parse delimited text.

    Args:
        text: The whole file.
        source: Its name, for messages.
        delimiter: One character; None finds it in the first rows.
        columns: Names of the columns of a file without a header line; a first line that holds nothing but such names
            is a header all the same. None: the first line names the columns.
        how: How the columns are read.

    Raises:
        ValueError: No header, no rows, repeated column names, another number of names than fields, a quote that is
            never closed, or a delimiter that leaves one column of a file that has several under another.
    """
    allow_long_fields()
    if not text or text.isspace():
        raise ValueError(f"{source}: the file is empty; expected a header line and rows")
    how = how or TextReading()
    delimiter = found_delimiter(text, source, how, columns, delimiter)
    typed = partial(read_columns, how=how)
    try:
        made = _parse(text, source, delimiter, columns, csv.QUOTE_MINIMAL, typed)
        line_ends = text.count("\n", 0, _end(text))
        whole = not made.bad_rows and made.arrow.num_rows == line_ends + (1 if columns else 0)
    except ValueError:
        if delimiter != "\t" or '"' not in text:
            raise
        made, whole = None, False
    if not whole and delimiter == "\t" and '"' in text:
        plain = _parse(text, source, delimiter, columns, csv.QUOTE_NONE, typed)
        if made is None or (made.bad_rows and not plain.bad_rows) or len(plain.bad_rows) < len(made.bad_rows):
            return plain
        is_joined = plain.arrow.num_rows > made.arrow.num_rows  # quotes had joined lines
        if is_joined and not plain.bad_rows and plain.arrow.num_columns > 1:  # one column: any line fits it
            return plain
    assert made is not None
    return made


def allow_long_fields() -> None:
    """Let ``csv`` read cells as long as they may be."""
    if csv.field_size_limit() < _FIELD_LIMIT:
        csv.field_size_limit(_FIELD_LIMIT)


def _parse(text: str, source: str, delimiter: str, columns: Sequence[str], quoting: Any, how: Any) -> Parsed:
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True, quoting=quoting)
    header = named_columns(text, source, delimiter, columns) if columns else None
    if header is None:
        header = read_header(reader, source)
    kept: list[list[str]] = []
    blocks: list[list[pa.Array]] = []
    bad: list[BadRow] = []
    rows = 0
    for number, fields in parsed_rows(reader, header, source):
        rows = number + 1
        if isinstance(fields, BadRow):
            bad.append(fields)
            continue
        kept.append(fields)
        if len(kept) == _ROWS:
            blocks.append(_block(kept))
            kept = []
    if rows == 0:
        raise ValueError(f"{source}: the file has a header ({', '.join(header)[:200]}) but no rows")
    if kept or not blocks:
        blocks.append(_block(kept) or [small_array([], pa.large_string())] * len(header))
    typed, read = how((name, _cells(blocks, place)) for place, name in enumerate(header))
    broken = {one.row for one in bad}
    numbers = tuple(number for number in range(rows) if number not in broken) if bad else None
    return Parsed(pa.table(typed), tuple(bad), numbers, read)


def parsed_rows(reader: Any, header: list[str], source: str) -> Iterator[tuple[int, list[str] | BadRow]]:
    """The rows behind the header with their numbers: their fields, or why they have none.

    Args:
        reader: A strict ``csv.reader`` behind the header.
        header: The names of the columns.
        source: The file's name, for messages.

    Raises:
        ValueError: A quote is never closed, or a value is longer than a cell may be.
    """
    row = 0
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise ValueError(
                    f"{source}: a quote opened in row {row} (line {start}) is never closed; every row after "
                    'it would be lost. Close it, or double it ("") if it is part of the text'
                ) from error
            if "field limit" in str(error):  # what follows would be cut at the wrong places
                raise ValueError(
                    f"{source}: row {row} (line {start}) holds a value of more than {csv.field_size_limit():,} "
                    "letters, the limit of a cell; a quote that is never closed before it may be the cause"
                ) from error
            yield row, BadRow(row, None, f"broken quotes in line {start} ({error})")
        else:
            if not fields and len(header) == 1:
                fields = [""]
            if len(fields) == len(header):
                yield row, fields
            else:
                what = counted(len(fields), "field") if fields else "a blank line"
                yield row, BadRow(row, None, f"{what} where the header has {len(header)} (line {start})")
        row += 1


def found_delimiter(head: str, source: str, how: TextReading, columns: Sequence[str], given: str | None) -> str:
    """The character between the fields of a text of which the first hundred lines, or more, are given.

    Args:
        head: The beginning of the text.
        source: The file's name, for messages.
        how: How it is read.
        columns: Names given for the columns.
        given: The delimiter, where one is named or the format has its own.

    Raises:
        ValueError: One is given that leaves one column of a file that has several under another.
    """
    separator = _SEPARATOR_LINE.match(head) if given is None and not columns else None
    given = separator[1] if separator is not None else given
    if given is not None and not columns:
        _check_delimiter(head, source, given)
    return given or _find_delimiter(head, how.usual)


def _end(text: str) -> int:
    """Where a text ends but for line ends."""
    end = len(text)
    while end and text[end - 1] in "\r\n":
        end -= 1
    return end


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, cut part by part: a stream of the whole takes four bytes a letter."""
    start, end = 0, _end(text)
    while start < end:
        stop = text.find("\n", start + _LETTERS, end) + 1 or end
        yield from io.StringIO(text[start:stop], newline="")
        start = stop


def _block(rows: list[list[str]]) -> list[pa.Array]:
    """Rows as columns of Arrow's text."""
    return [small_array(column, pa.large_string()) for column in zip(*rows, strict=True)]


def _cells(blocks: list[list[pa.Array]], place: int) -> list[str]:
    """The cells of one column, forgotten there."""
    cells: list[str] = []
    for block in blocks:
        cells += block[place].to_pylist()
        block[place] = None
    return cells


def named_columns(text: str, source: str, delimiter: str, columns: Sequence[str]) -> list[str] | None:
    """The names given for the columns; None where the first line is a header after all."""
    names = [name.strip() for name in columns]
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(f"{source}: the column names {names} must differ and not be empty")
    line = next(_lines(text)).rstrip("\r\n")
    first = line.split(delimiter)
    if set(first) <= set(names):
        return None
    if len(first) != len(names) and '"' not in line:
        raise ValueError(
            f"{source}: {counted(len(names), 'column name')} given (columns=) but the first row has "
            f"{counted(len(first), 'field')}"
        )
    return names


def _find_delimiter(text: str, usual: str | None = None) -> str:
    """The delimiter under which most of the first rows have as many fields as the header, of equal ones the first.

    A usual one comes before all others, if the header has more than one field under it.
    """
    lines = list(islice(_lines(text), SNIFFED))
    if usual is not None and len(next(csv.reader(lines, delimiter=usual), [])) > 1:
        return usual
    best, most = ",", (False, -1.0)
    for delimiter in DELIMITERS:
        try:
            records = [r for r in csv.reader(lines, delimiter=delimiter) if r]
        except csv.Error:
            continue
        if not records:
            continue
        share = sum(len(r) == len(records[0]) for r in records[1:]) / max(1, len(records) - 1)
        rank = (len(records[0]) > 1, share)  # a header of one field says nothing for a delimiter
        if rank > most:
            best, most = delimiter, rank
    return best


def _check_delimiter(text: str, source: str, delimiter: str) -> None:
    """Refuse a delimiter that does not stand in the header, where another one divides all of the first rows alike."""
    lines = text.splitlines()[:SNIFFED]
    header = next(csv.reader(lines, delimiter=delimiter), [])
    other = _find_delimiter(text)
    if len(header) != 1 or other == delimiter:
        return
    with contextlib.suppress(csv.Error):
        widths = {len(r) for r in csv.reader(lines, delimiter=other, strict=True) if r}
        if len(lines) > 1 and len(widths) == 1 and widths != {1}:
            raise ValueError(
                f"{source}: between {delimiter!r} the file has one column ({_cut(header[0])}); its delimiter seems to "
                f"be {other!r}, which makes {counted(widths.pop(), 'column')}: type delimiter={other!r}"
            )


def _cut(name: str) -> str:
    return repr(name) if len(name) <= 80 else f"{name[:77]!r}..."


def read_header(reader: Any, source: str) -> list[str]:
    """The names of the columns, from the first line that a reader gives.

    Raises:
        ValueError: It cannot be parsed, or names a column twice.
    """
    try:
        header: list[str] = []
        while not header or header == ["sep=", ""]:
            header = next(reader)
    except (StopIteration, csv.Error) as error:
        raise ValueError(f"{source}: the header line cannot be parsed ({error}); check its quotes") from error
    header = [name if name.strip() else f"unnamed_{i}" for i, name in enumerate(header)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f"{source}: the header names {repeated} more than once; give every column its own name")
    return header
