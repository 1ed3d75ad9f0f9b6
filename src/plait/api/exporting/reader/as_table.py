"""Rows judged as a table is: what a column as a whole says of the reading of its cells, by the rules of training.

Text is read as that of a CSV table. A column that held numbers in training is one of numbers again where every cell of
it is a number (``7.0`` is the category 7 there, and an unseen one elsewhere). Numbers that may have either decimal
mark, and dates that may have either order of day and month, are in doubt where the column holds the other one.
"""

from __future__ import annotations

import csv
import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plait.data.doubts import OtherMark, TurnedDates
from plait.data.read_again import held_again
from plait.data.values import DATE_ORDERS, ColumnReading

Row = Mapping[str, Any]
LONGEST = 2**31 - 1  # letters of a field of CSV: photos as base64 text are long


class Columns:
    """The columns that a model reads.

    Args:
        facts: ``columns`` of ``plait.json``: kind and reading of each, by name.
    """

    def __init__(self, facts: Mapping[str, Mapping[str, str]]) -> None:
        self.kinds = {name: one["kind"] for name, one in facts.items()}
        self.readings = {
            name: ColumnReading(one["held"], one["mark"], order=one["order"]) for name, one in facts.items()
        }

    def judged(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The rows with the model's columns only, text as it is to be read.

        Raises:
            ValueError: None of the rows has any of them, or one has fields without a name.
        """
        there = {name for row in rows for name in row}
        self.require_any(there, bool(rows))
        if None in there:  # where csv.DictReader puts them
            row = next(i for i, row in enumerate(rows) if None in row)
            raise ValueError(f"row {row} has more fields than the header; read the table with predict_csv")
        columns = {name: self._judged(name, [row.get(name) for row in rows]) for name in self.kinds if name in there}
        return [{name: cells[i] for name, cells in columns.items()} for i in range(len(rows))]

    def require_any(self, there: set[Any], has_rows: bool = True) -> None:
        """Refuse rows with none of the model's columns.

        Raises:
            ValueError: The message names the columns, and the nearest name.
        """
        if not has_rows or there & set(self.kinds):
            return
        spare = {_folded(name): name for name in sorted(map(str, there - {None}))}
        wanted = []
        for name in self.kinds:
            near = difflib.get_close_matches(_folded(name), spare, n=1, cutoff=0.8)
            wanted.append(f"{name} (did you mean {spare[near[0]]!r}?)" if near else name)
        raise ValueError(
            f"the rows have none of the columns this model reads ({', '.join(wanted)}); they have "
            f"{', '.join(spare.values())[:300] or 'none'}"
        )

    def _judged(self, name: str, cells: list[Any]) -> list[Any]:
        kind, reading = self.kinds[name], self.readings[name]
        if kind == "numeric":
            marks = OtherMark(name, reading.mark)
            marks.count(cells)
            return marks.doubted(cells) if marks.is_doubtful else cells
        if kind == "date" and reading.order in DATE_ORDERS:
            dates = TurnedDates(name, reading.order)
            dates.count(cells)
            return (dates.doubted(cells) if dates.is_doubtful else None) or cells
        if kind in ("categorical", "text") and all(cell is None or isinstance(cell, str) for cell in cells):
            found = held_again([cell or "" for cell in cells], reading)
            return cells if found is None else list(found[1])
        return cells


def read_csv(file: str | Path) -> list[dict[str, str] | str]:
    """The rows of a CSV table (UTF-8, commas, names in the first line); for a broken one what is wrong with it.

    Raises:
        ValueError: It is no such table as a whole.
    """
    if csv.field_size_limit() < LONGEST:
        csv.field_size_limit(LONGEST)
    try:
        with open(file, encoding="utf-8-sig", newline="") as opened:
            return _parsed(csv.reader(opened, strict=True), file)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from None


def _parsed(reader: Any, file: str | Path) -> list[dict[str, str] | str]:
    header: list[str] = []
    found: list[dict[str, str] | str] = []
    blank = 0  # lines; at the end of the table they are no rows
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if not header or "unexpected end" in str(error):
                raise ValueError(f"{file}: a quote that is never closed, in line {start} or above ({error})") from None
            fields = None
            what = f"broken quotes in line {start} ({error})"
        if not header:
            header = _header(fields or [], file)
            continue
        if fields == [] and len(header) > 1:
            blank += 1
            continue
        if fields is not None and len(fields or [""]) != len(header):
            what = f"{len(fields)} field{'s' * (len(fields) != 1)} where the header has {len(header)} (line {start})"
            fields = None
        found += ["a blank line"] * blank
        found.append(what if fields is None else dict(zip(header, fields or [""], strict=True)))
        blank = 0
    if not header:
        raise ValueError(f"{file} is empty; expected a header line and rows")
    if not found:
        raise ValueError(f"{file} has a header ({', '.join(header)[:200]}) but no rows")
    return found


def _header(names: list[str], file: str | Path) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{file}: the columns {twice} appear more than once; give each its own name")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise ValueError(f"{file}: the header is one field ({names[0][:80]!r}); expected commas between fields")
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
