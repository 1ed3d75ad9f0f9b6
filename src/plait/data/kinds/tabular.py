"""Columns of numbers, categories and dates, which are one modality together: an item is all their cells of a row."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from plait.data.arrow_types import is_date, is_list, is_number, is_text
from plait.data.column_kind import ColumnKind, Hints
from plait.data.items import Found, unique_items
from plait.data.modality import Modality
from plait.data.nearly_numeric import common_unit, number_cells
from plait.data.rows import Items, Rows
from plait.data.shown import shown_text
from plait.data.table import Table

MOST_UNREADABLE = 0.2  # share of cells that may be no numbers in a column that is named as one of numbers


def read_joined(table: Table, modality: Modality, rows: Rows) -> Items:
    """The unique rows of all columns of the modality."""
    present = [c for c in modality.columns if c in table.column_names]
    columns = {c: table.column(c) if c in present else [None] * len(table) for c in modality.columns}
    cells = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return unique_items(modality, cells, _item_of, rows)


def _item_of(cell: Any) -> Found:
    if all(v is None or v == "" or (isinstance(v, float) and math.isnan(v)) for v in cell.values()):
        return None
    return hashlib.sha256(repr(sorted(cell.items())).encode("utf-8", "surrogatepass")).hexdigest(), cell


def show_joined(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    """The cells by column."""
    return [{"name": column, "text": shown_text(value)} for column, value in cell.items()]


def _no_number(table: Table, name: str, hints: Hints) -> str:
    """Why a column of text cannot be read as numbers, in brackets; "" where most of it can (the rest is reported)."""
    held = table.arrow.schema.field(name).type
    if not is_text(held):
        return f" (dates and times are read by date={name!r})" if is_date(held) else " (which are no numbers)"
    cells = table.column(name)
    found = number_cells(cells, hints.decimal, table.row_number)
    if found.mark is None:
        return f" ({found.reason})"
    if len(found.odd) <= MOST_UNREADABLE * found.filled:
        return ""
    first = found.odd[0]
    unit = common_unit(cells)
    advice = f"; write the numbers without {unit!r}" if unit is not None else ""
    return f" (row {table.row_number(first)} holds {cells[first][:40]!r}{advice})"


NUMERIC = ColumnKind(
    fits=is_number,
    holds="numbers",
    read=read_joined,
    show=show_joined,
    joined_as="tabular",
    scale="number",
    odd=_no_number,
)
CATEGORICAL = ColumnKind(
    fits=lambda kind: is_text(kind) or is_number(kind) or is_date(kind),
    holds="single values",
    read=read_joined,
    show=show_joined,
    joined_as="tabular",
    scale="class",
    fits_target=lambda kind: is_text(kind) or is_number(kind) or is_date(kind) or is_list(kind),
)
