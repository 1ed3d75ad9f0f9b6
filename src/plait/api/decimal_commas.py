"""Numbers of a later table that are written with another decimal mark than those of the training table.

Where nothing is said of it such cells cannot be read, and are counted by column in one sentence; under ``decimal=`` all
columns of numbers are read with that mark.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

from plait.data.arrow_types import is_text
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
            _warn_of_other_mark(table, name, mark)
        elif decimal != mark:
            table = table.with_column(name, [_respelt(cell, decimal, mark) for cell in table.column(name)])
    return table


def _respelt(cell: object, decimal: str, mark: str) -> object:
    number = read_number(cell, decimal) if isinstance(cell, str) and not is_missing_number(cell) else None
    return cell if number is None else repr(number).replace(".", mark)


def _warn_of_other_mark(table: Table, name: str, mark: str) -> None:
    other = next(m for m in DECIMAL_MARKS if m != mark)
    texts = [c for c in table.column(name) if isinstance(c, str) and other in c]
    certain = [c for c in texts if read_number(c, mark) is None and read_number(c, other) is not None]
    if certain:
        number = sum(read_number(c, other) is not None for c in texts)
        what = {",": "commas", ".": "points"}[other]
        looks = "looks" if number == 1 else "look"
        warnings.warn(
            f"{counted(number, 'cell')} of column {name!r} {looks} like numbers with decimal {what} "
            f"({certain[0].strip()!r}), and the model was trained on the other mark; type decimal={other!r}",
            UserWarning,
            stacklevel=4,
        )
