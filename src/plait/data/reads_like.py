"""What a column of text reads like as a whole, numbers or dates, and how its cells are then read.

Nine filled cells in ten decide; the few others stay what they are, are named by ``plait check``, and are bad cells for
the policy of a run. A column that could be read in two ways is left out, with what to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plait.data.arrow_types import is_text
from plait.data.column_kind import Hints
from plait.data.dates import date_cells
from plait.data.moments import is_short_year, looks_like_date
from plait.data.nearly_numeric import has_codes, number_cells
from plait.data.read_cells import LEAST_READABLE, ReadCells
from plait.data.readers.column_types import warn_of_one_number
from plait.data.table import Table
from plait.data.values import DECIMAL_MARKS, ColumnReading, is_missing_number, read_number

_NO_SAMPLE = 0.8  # below it among 1000 cells, all the cells need not be looked at


@dataclass(frozen=True)
class ReadsLike:
    """What a column of text reads like.

    Attributes:
        kind: "numeric" or "date"; None where it reads like one of them and cannot be read all the same.
        reason: Why, in words.
        distinct: How many different numbers or dates it holds.
        is_whole: Whether all its numbers are whole.
    """

    kind: str | None
    reason: str
    distinct: int = 0
    is_whole: bool = False


def reads_like(table: Table, name: str, sample: Sequence[Any], hints: Hints) -> ReadsLike | None:
    """Tell numbers and dates written as text; None for any other text.

    Args:
        table: The table.
        name: The column, of text.
        sample: Some of its values, none missing.
        hints: How to read cells that could be read in two ways.
    """
    filled = [cell for cell in sample if not is_missing_number(cell)]
    if not filled or has_codes(filled):
        return None
    if sum(any(read_number(c, m) is not None for m in DECIMAL_MARKS) for c in filled) >= _NO_SAMPLE * len(filled) / 2:
        return _like_numbers(table, name, hints)
    if sum(map(looks_like_date, filled)) >= _NO_SAMPLE * len(filled) / 2:
        return _like_dates(table, name, hints)
    if sum(map(is_short_year, filled)) >= LEAST_READABLE * len(filled):
        why = f"reads like dates with a year of two digits ({filled[0].strip()!r}); write years with four"
        return ReadsLike(None, why)
    return None


def reading_of(table: Table, name: str, kind: str | None, hints: Hints) -> ColumnReading | None:
    """How the cells of a column of this kind are read, here and in every later table."""
    reading = table.reading(name)
    if reading is None or kind not in ("numeric", "date"):
        return reading
    if kind == "date":
        found = date_cells(table.column(name), hints.date_order)
        return replace(reading, order=found.order, zone=reading.zone or found.zone, missing=found.missing)
    if not is_text(table.arrow.schema.field(name).type):
        return reading
    numbers = number_cells(table.column(name), hints.decimal)
    return replace(reading, mark=numbers.mark or reading.mark, missing=numbers.missing)


def unit_advice(unit: str) -> str:
    """What to do about numbers with a unit."""
    return f"numbers with {unit!r}; write them without it to have them read as numbers"


def rows_in_words(table: Table, name: str, places: Sequence[int]) -> str:
    """The spellings of some cells and the rows they stand in, as "'?' in rows 3, 7; 'abc' in row 9"."""
    cells = table.column(name)
    rows: dict[str, list[int]] = {}
    for place in places:
        rows.setdefault(str(cells[place])[:40], []).append(table.row_number(place))
    shown = []
    for text, numbers in list(rows.items())[:3]:
        more = f" and {len(numbers) - 3:,} more" if len(numbers) > 3 else ""
        shown.append(f"{text!r} in row{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:3]))}{more}")
    return "; ".join(shown) + (f"; and {len(rows) - 3} more spellings" if len(rows) > 3 else "")


def _like_numbers(table: Table, name: str, hints: Hints) -> ReadsLike | None:
    cells = table.column(name)
    found = number_cells(cells, hints.decimal, table.row_number)
    if not found.is_nearly or has_codes(cells):
        return None
    if found.mark is None:
        return ReadsLike(None, f"reads like numbers, but {found.reason}")
    warn_of_one_number(name, (cell for cell in cells if isinstance(cell, str)))
    numbers = {n for c in cells if (n := read_number(c, found.mark)) is not None}
    return ReadsLike(
        "numeric", _in_words(table, name, found, "numbers"), len(numbers), all(n.is_integer() for n in numbers)
    )


def _like_dates(table: Table, name: str, hints: Hints) -> ReadsLike | None:
    cells = table.column(name)
    found = date_cells(cells, hints.date_order, table.row_number)
    if not found.is_nearly or not any(map(looks_like_date, cells)):
        return None
    if found.reason is not None:
        return ReadsLike(None, f"reads like dates, but {found.reason}")
    return ReadsLike("date", _in_words(table, name, found, "dates"), len(set(cells)))


def _in_words(table: Table, name: str, found: ReadCells, what: str) -> str:
    parts = ["texts that read like " + what]
    if found.marked:
        parts.append(f"missing where it says {rows_in_words(table, name, found.marked)}")
    if found.odd:
        number = len(found.odd)
        says = f"no {what[:-1]}" if number == 1 else f"no {what}"
        parts.append(
            f"{number:,} cell{'s are' if number > 1 else ' is'} {says}: {rows_in_words(table, name, found.odd)}"
        )
    order = getattr(found, "order", "")
    if order:
        parts.append("day first" if order == "dmy" else "month first")
    return "; ".join(parts)
