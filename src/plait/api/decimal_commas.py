"""Numbers of a later table that are written with another decimal mark than those of the training table.

Where nothing is said of it such cells cannot be read, and are counted by column in one sentence; neither are the cells
beside them that could be read with both marks (``1,234`` in a column that holds ``7,5``), unless nine in ten that leave
no doubt are of the model's own mark. Under ``decimal=`` all columns
of numbers are read with that mark.

What a column as a whole says is counted first (:class:`~plait.data.doubts.OtherMark`), piece by piece where the table
is read so, and then holds for each of its cells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pyarrow as pa

from plait.data.arrow_types import is_text
from plait.data.doubts import OtherMark
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import ColumnReading, is_missing_number, read_number


def readings_with(readings: Mapping[str, ColumnReading], decimal: str | None) -> dict[str, ColumnReading]:
    """How columns are read, those of numbers with another decimal mark; None leaves all as they are."""
    if decimal is None:
        return dict(readings)
    return {
        name: replace(reading, held="number", mark=decimal) if reading.held in ("whole", "number") else reading
        for name, reading in readings.items()
    }


def other_marks(names_of_text: Collection[str], schema: Schema) -> dict[str, OtherMark]:
    """By name, the text columns of a table whose cells the model reads as numbers; nothing is counted yet."""
    return {
        column.name: OtherMark(column.name, column.reading.mark if column.reading is not None else ".")
        for column in schema.columns
        if column.kind == "numeric" and column.name in names_of_text
    }


def read_with_mark(
    table: Table, schema: Schema, decimal: str | None, found: Mapping[str, OtherMark] | None = None
) -> Table:
    """The table with the numbers of its text columns in the spelling that the model reads.

    Args:
        table: The table, or a piece of one.
        schema: The columns of the training table.
        decimal: The mark of its numbers; None: nothing is said of it.
        found: Of a piece, what was counted over the whole table; None: it is counted here.

    Warns:
        UserWarning: No mark is given, and cells read as numbers under the other one only; not of a piece.
    """
    for name, marks in (other_marks(text_columns(table.arrow.schema), schema) if found is None else found).items():
        cells = table.column(name)
        if decimal is None:
            if found is None:
                marks.count(cells)
                marks.warn()
            if marks.is_doubtful and any(isinstance(cell, str) and marks.other in cell for cell in cells):
                table = table.with_column(name, marks.doubted(cells))
        elif decimal != marks.mark and any(isinstance(cell, str) for cell in cells):
            table = table.with_column(name, [_respelt(cell, decimal, marks.mark) for cell in cells])
    return table


def text_columns(schema: pa.Schema) -> list[str]:
    """The names of the columns that hold text."""
    return [field.name for field in schema if is_text(field.type)]


def _respelt(cell: object, decimal: str, mark: str) -> object:
    number = read_number(cell, decimal) if isinstance(cell, str) and not is_missing_number(cell) else None
    return cell if number is None else repr(number).replace(".", mark)
