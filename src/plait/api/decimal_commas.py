"""Numbers of a later table that are written with another decimal mark than those of the training table.

Where nothing is said of it such cells cannot be read, and are counted by column in one sentence; neither are the cells
beside them that could be read with both marks (``1,234`` in a column that holds ``7,5``), unless nine in ten that leave
no doubt are of the model's own mark. Under ``decimal=`` all columns
of numbers are read with that mark.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

from plait.data.arrow_types import is_text
from plait.data.read_cells import LEAST_READABLE
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import DECIMAL_MARKS, ColumnReading, is_missing_number, read_number
from plait.registry import counted


def readings_with(readings: Mapping[str, ColumnReading], decimal: str | None) -> dict[str, ColumnReading]:
    """How columns are read, those of numbers with another decimal mark; None leaves all as they are."""
    if decimal is None:
        return dict(readings)
    return {
        name: replace(reading, held="number", mark=decimal) if reading.held in ("whole", "number") else reading
        for name, reading in readings.items()
    }


def read_with_mark(table: Table, schema: Schema, decimal: str | None) -> Table:
    """The table with the numbers of its text columns in the spelling that the model reads.

    Warns:
        UserWarning: No mark is given, and cells read as numbers under the other one only.
    """
    for column in schema.columns:
        name = column.name
        if column.kind != "numeric" or name not in table.column_names:
            continue
        if not is_text(table.arrow.schema.field(name).type):
            continue
        mark = column.reading.mark if column.reading is not None else "."
        if decimal is None:
            table = _doubt_other_mark(table, name, mark)
        elif decimal != mark:
            table = table.with_column(name, [_respelt(cell, decimal, mark) for cell in table.column(name)])
    return table


def _respelt(cell: object, decimal: str, mark: str) -> object:
    number = read_number(cell, decimal) if isinstance(cell, str) and not is_missing_number(cell) else None
    return cell if number is None else repr(number).replace(".", mark)


def _doubt_other_mark(table: Table, name: str, mark: str) -> Table:
    """The table; in a column that surely holds numbers of the other mark, those that may be of either say so."""
    other = next(m for m in DECIMAL_MARKS if m != mark)
    cells = table.column(name)
    texts = [c for c in cells if isinstance(c, str) and other in c]
    certain = [c for c in texts if read_number(c, mark) is None and read_number(c, other) is not None]
    if not certain:
        return table
    number = sum(read_number(c, other) is not None for c in texts)
    what = {",": "commas", ".": "points"}[other]
    looks = "looks" if number == 1 else "look"
    warnings.warn(
        f"{counted(number, 'cell')} of column {name!r} {looks} like numbers with decimal {what} "
        f"({certain[0].strip()!r}), and the model was trained on the other mark; type decimal={other!r}",
        UserWarning,
        stacklevel=4,
    )
    own = sum(isinstance(c, str) and read_number(c, other) is None and read_number(c, mark) is not None for c in cells)
    if own >= LEAST_READABLE * (own + len(certain)):
        return table  # slips in a column of the model's mark
    return table.with_column(name, [_doubted(cell, mark, other) for cell in cells])


def _doubted(cell: object, mark: str, other: str) -> object:
    """A cell that says both numbers it may be, and so is none; any other as it is."""
    if not isinstance(cell, str) or other not in cell:
        return cell
    here, there = read_number(cell, mark), read_number(cell, other)
    return cell if here is None or there is None or here == there else f"{cell.strip()} ({here:.15g} or {there:.15g}?)"
