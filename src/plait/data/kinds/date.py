"""Columns of dates, times of day or both: part of the one tabular modality, like numbers and categories.

What a model sees of a date (year, month, weekday, age ...) is made of it in ``plait.processors.date_parts``.
"""

from __future__ import annotations

from plait.data.arrow_types import is_date, is_number, is_text
from plait.data.column_kind import ColumnKind, Hints, Sample
from plait.data.dates import date_cells
from plait.data.kinds.tabular import MOST_UNREADABLE, read_joined, show_joined
from plait.data.moments import is_short_year
from plait.data.table import Table


def _claim(sample: Sample) -> str | None:
    """Columns of date types; texts are told by the rules for plain values, which look at the whole column."""
    return f"holds dates or times ({sample.type})" if is_date(sample.type) else None


def _no_date(table: Table, name: str, hints: Hints) -> str:
    """Why a column of text or whole numbers cannot be read as dates, in brackets; "" where most of it can."""
    held = table.arrow.schema.field(name).type
    if not is_text(held) and not is_number(held):
        return " (which are no dates)"
    cells = table.column(name)
    found = date_cells(cells, hints.date_order, table.row_number)
    if found.reason is not None:
        return f" ({found.reason})"
    if found.odd and len(found.odd) > MOST_UNREADABLE * found.filled:
        first = cells[found.odd[0]]
        return f" (row {table.row_number(found.odd[0])} holds {str(first)[:40]!r}{_advice(first)})"
    return ""


def _advice(cell: object) -> str:
    """What to write in place of numbers and spellings that are often meant as dates."""
    if is_short_year(cell):
        return "; write years with four digits"
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        if 20_000 <= cell <= 80_000:
            return "; for Excel's day numbers: pandas.to_datetime(column, unit='D', origin='1899-12-30')"
        if 1e8 <= cell <= 1e19:
            return "; for seconds since 1970: pandas.to_datetime(column, unit='s')"
    return ""


DATE = ColumnKind(
    fits=is_date,
    holds="dates such as 2024-03-05 or 2024-03-05 14:30",
    read=read_joined,
    show=show_joined,
    claim=_claim,
    joined_as="tabular",
    odd=_no_date,
)
