"""CSV and TSV text to typed columns, row by row, without ever shifting a value into another column.

The first line names the columns, unless the caller names them. In a TSV a quote opens a quoted field as in CSV; but
where that breaks rows and every line has the right number of fields without it, quotes are letters like any other
(the definition of tab-separated values knows no quotes).

A row with another number of fields than the header, or with broken quotes, is set aside with its number.
Columns are typed as wholes: whole numbers, numbers, true/false, else text. Digits that carry leading zeros
or a plus sign (post codes, phone numbers) and those beyond 64 bits stay text. An empty cell is a missing
value; in a column of numbers so are ``nan``, ``na``, ``n/a``, ``null`` and ``none``. Blank lines at the
end do not count as rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from plait.data.readers.parsed import BadRow, Parsed

_BEYOND = re.compile(r"-?[0-9]{19,}")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,4})?|-?inf(inity)?", re.I)
_MISSING = frozenset({"nan", "na", "n/a", "null", "none"})
_FIELD_LIMIT = 2**31 - 1  # photos as base64 text are far above the 128 KiB that csv allows


def read_delimited(text: str, source: str, delimiter: str | None, columns: Sequence[str] = ()) -> Parsed:
    """Parse delimited text.

    Args:
        text: The whole file.
        source: Its name, for messages.
        delimiter: None finds it in the header: a comma, else a semicolon or a tab.
        columns: Names of the columns of a file without a header line; a first line that holds nothing but such names
            is a header all the same. None: the first line names the columns.

    Raises:
        ValueError: No header, no rows, repeated column names, another number of names than fields, or a quote that is
            never closed.
    """
    if csv.field_size_limit() < _FIELD_LIMIT:
        csv.field_size_limit(_FIELD_LIMIT)
    if not text.strip():
        raise ValueError(f"{source}: the file is empty; expected a header line and rows")
    text = text.rstrip("\r\n")
    delimiter = delimiter or _find_delimiter(text)
    try:
        made = _parse(text, source, delimiter, columns, csv.QUOTE_MINIMAL)
        whole = not made.bad_rows and made.arrow.num_rows == text.count("\n") + (1 if columns else 0)
    except ValueError:
        if delimiter != "\t" or '"' not in text:
            raise
        made, whole = None, False
    if not whole and delimiter == "\t" and '"' in text:
        plain = _parse(text, source, delimiter, columns, csv.QUOTE_NONE)
        if made is None or (made.bad_rows and not plain.bad_rows) or len(plain.bad_rows) < len(made.bad_rows):
            return plain
        if not plain.bad_rows and plain.arrow.num_rows > made.arrow.num_rows:  # quotes had joined lines
            return plain
    assert made is not None
    return made


def _parse(text: str, source: str, delimiter: str, columns: Sequence[str], quoting: Any) -> Parsed:
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True, quoting=quoting)
    header = _named(text, source, delimiter, columns) if columns else None
    if header is None:
        header = _read_header(reader, source)
    kept: list[list[str]] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    row = 0
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise ValueError(
                    f"{source}: a quote opened in row {row} (line {start}) is never closed; every row after "
                    'it would be lost. Close it, or double it ("") if it is part of the text'
                ) from error
            bad.append(BadRow(row, None, f"broken quotes in line {start} ({error})"))
        else:
            if not fields and len(header) == 1:
                fields = [""]
            if len(fields) == len(header):
                kept.append(fields)
                numbers.append(row)
            else:
                what = f"{len(fields)} fields" if fields else "a blank line"
                bad.append(BadRow(row, None, f"{what} where the header has {len(header)} (line {start})"))
        row += 1
    if row == 0:
        raise ValueError(f"{source}: the file has a header ({', '.join(header)[:200]}) but no rows")
    typed = {name: type_column([fields[i] for fields in kept]) for i, name in enumerate(header)}
    return Parsed(pa.table(typed), tuple(bad), tuple(numbers) if bad else None)


def _named(text: str, source: str, delimiter: str, columns: Sequence[str]) -> list[str] | None:
    """The names given for the columns; None where the first line is a header after all."""
    names = [name.strip() for name in columns]
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(f"{source}: the column names {names} must differ and not be empty")
    first = text.splitlines()[0].split(delimiter)
    if set(first) <= set(names):
        return None
    if len(first) != len(names) and '"' not in text.splitlines()[0]:
        raise ValueError(f"{source}: {len(names)} column names were given but the first row has {len(first)} fields")
    return names


def type_column(cells: list[str]) -> pa.Array:
    """The text of one column as the narrowest type that holds every cell without loss.

    Example:
        >>> type_column(["1", "", "3"]).to_pylist(), type_column(["01", "2"]).to_pylist()
        ([1, None, 3], ['01', '2'])
    """
    filled = [cell for cell in cells if cell != ""]
    values = [bare for cell in filled if (bare := cell.strip()).lower() not in _MISSING]
    convert: Callable[[str], Any] | None = None
    kind = pa.string()
    if values and all(map(_WHOLE.fullmatch, values)):
        convert, kind = int, pa.int64()
    elif values and all(map(_NUMBER.fullmatch, values)) and not any(map(_BEYOND.fullmatch, values)):
        convert, kind = float, pa.float64()
    elif filled and all(cell.lower() in ("true", "false") for cell in filled):
        return pa.array([None if cell == "" else cell.lower() == "true" for cell in cells], pa.bool_())
    if convert is None:
        return pa.array([cell if cell != "" else None for cell in cells], _text_kind(cells))
    trimmed = [cell.strip() for cell in cells]
    return pa.array([None if c == "" or c.lower() in _MISSING else convert(c) for c in trimmed], kind)


def _text_kind(cells: list[str]) -> pa.DataType:
    return pa.large_string() if sum(map(len, cells)) > 2**28 else pa.string()


def _find_delimiter(text: str) -> str:
    head = next(line for line in text.splitlines() if line.strip())
    if "," in head:
        return ","
    return max(";\t", key=head.count) if ";" in head or "\t" in head else ","


def _read_header(reader: Any, source: str) -> list[str]:
    try:
        header: list[str] = []
        while not header:
            header = next(reader)
    except (StopIteration, csv.Error) as error:
        raise ValueError(f"{source}: the header line cannot be parsed ({error}); check its quotes") from error
    header = [name if name.strip() else f"unnamed_{i}" for i, name in enumerate(header)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f"{source}: the header names {repeated} more than once; give every column its own name")
    return header
