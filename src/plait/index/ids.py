"""The ids of items: from a column that names them, else from their paths, else from their row numbers.

An id reads as the source spells it: text stays what it is, a whole number is ``1``, also where a missing value in its
column made it the broken number ``1.0``. Ids that repeat or are missing are named by their rows.
"""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.checks.finding import name_rows
from plait.data.modality import Modality
from plait.data.table import Table, TextReading, read_table
from plait.data.values import ColumnReading

LONGEST_ID = 1024
_NUMBER = re.compile(r"-?\d+(\.0)?")


def spelling(name: str, known: Container[str]) -> str:
    """An id as it is known: 1 and 1.0 stand for one another where only one of them is there."""
    other = name.removesuffix(".0") if name.endswith(".0") else f"{name}.0"
    return other if name not in known and other in known and _NUMBER.fullmatch(name) else name


def spelt_ids(source: Any, table: Table, column: str, format: str | None, encoding: str | None) -> list[Any] | None:
    """The ids as a text file spells them, where they were read as broken numbers: 1.0 stays 1.0; else None."""
    if not isinstance(source, str | Path) or column not in table.column_names:
        return None
    if not pa.types.is_floating(table.arrow.schema.field(column).type) or Path(source).is_dir():
        return None
    text = read_table(
        source, format=format, encoding=encoding, text=TextReading(readings={column: ColumnReading("text")})
    )
    is_text = len(text) == len(table) and all(v is None or isinstance(v, str) for v in text.column(column))
    return text.column(column) if is_text else None


def _id_of(value: Any) -> str | None:
    """The id that a cell gives, as it is read: a whole number is 1, also where a missing one made it 1.0."""
    if value is None or value != value or str(value).strip() == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def ids_of(table: Table, modality: Modality, id: str | None, spelt: list[Any] | None) -> tuple[list[str], list[str]]:
    """The id of each row, and what a person should know of them."""
    numbers = [table.row_number(row) for row in range(len(table))]
    notes = []
    if id is not None or "id" in table.column_names:
        column = id or "id"
        made = [_id_of(value) for value in (spelt or table.column(column))]
        fault = _fault_of(made, numbers)
        if fault is None:
            return [name for name in made if name is not None], []
        if id is not None:
            raise ValueError(
                f"{table.source}: column {id!r}: {fault}. Mend it, name another with id=, or leave it away"
            )
        notes.append(f"column 'id' does not name the items: {fault}")
    cells = table.column(modality.columns[0])
    if modality.kind == "text" or not all(isinstance(c, str) and 0 < len(c) <= LONGEST_ID or c is None for c in cells):
        return [f"row-{number}" for number in numbers], notes
    count: dict[str, int] = {}
    for cell in cells:
        count[cell] = count.get(cell, 0) + 1
    return [
        f"row-{number}" if cell is None else cell if count[cell] == 1 else f"{cell}#{number}"
        for number, cell in zip(numbers, cells, strict=True)
    ], notes


def _fault_of(ids: list[str | None], numbers: list[int]) -> str | None:
    """What is wrong with ids, by row; None where all are there and differ."""
    missing = [number for number, name in zip(numbers, ids, strict=True) if name is None]
    if missing:
        return f"it names no item in {name_rows(missing)}"
    seen: dict[str | None, int] = {}
    repeats = [(name, seen[name], n) for n, name in zip(numbers, ids, strict=True) if seen.setdefault(name, n) != n]
    if not repeats:
        return None
    name, first, second = repeats[0]
    more = f", and {len(repeats) - 1:,} more rows repeat ids" if len(repeats) > 1 else ""
    return f"the id {name!r} stands in row {first} and in row {second}{more}; ids must differ"
