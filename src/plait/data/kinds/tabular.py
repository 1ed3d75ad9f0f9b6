"""Columns of numbers and of categories, which are one modality together: an item is all their cells of a row."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from plait.data.arrow_types import is_list, is_number, is_text
from plait.data.column_kind import ColumnKind
from plait.data.items import Found, unique_items
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.shown import shown_text
from plait.data.table import Table
from plait.data.values import decimal_mark, is_missing_number

MOST_UNREADABLE = 0.2  # share of cells that may be no numbers in a column that is named as one of numbers


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    present = [c for c in modality.columns if c in table.column_names]
    columns = {c: table.column(c) if c in present else [None] * len(table) for c in modality.columns}
    cells = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return unique_items(modality, cells, _item_of, rows)


def _item_of(cell: Any) -> Found:
    if all(v is None or v == "" or (isinstance(v, float) and math.isnan(v)) for v in cell.values()):
        return None
    return hashlib.sha256(repr(sorted(cell.items())).encode("utf-8", "surrogatepass")).hexdigest(), cell


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"name": column, "text": shown_text(value)} for column, value in cell.items()]


def _no_number(table: Table, name: str) -> str:
    """Why a column of text cannot be read as numbers, in brackets; "" where most of it can (the rest is reported)."""
    if not is_text(table.arrow.schema.field(name).type):
        return ""
    cells = table.column(name)
    found = decimal_mark(cells)
    if found.mark is None:
        return f" ({found.reason})"
    filled = sum(not is_missing_number(cell) for cell in cells)
    if len(found.unreadable) <= MOST_UNREADABLE * filled:
        return ""
    first = found.unreadable[0]
    return f" (row {table.row_number(first)} holds {cells[first][:40]!r})"


NUMERIC = ColumnKind(
    fits=is_number, holds="numbers", read=_read, show=_show, joined_as="tabular", scale="number", odd=_no_number
)
CATEGORICAL = ColumnKind(
    fits=lambda kind: is_text(kind) or is_number(kind),
    holds="single values",
    read=_read,
    show=_show,
    joined_as="tabular",
    scale="class",
    fits_target=lambda kind: is_text(kind) or is_number(kind) or is_list(kind),
)
