"""Numbers of a later table that are written with another decimal mark than those of the training table.

Where nothing is said of it such cells cannot be read, and are counted by column in one sentence; neither are the cells
beside them that could be read with both marks (``1,234`` in a column that holds ``7,5``), unless nine in ten that leave
no doubt are of the model's own mark. Under ``decimal=`` all columns
of numbers are read with that mark.

What a column as a whole says is counted first (:class:`OtherMark`), piece by piece where the table is read so, and
then holds for each of its cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

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


@dataclass
class OtherMark:
    """What the cells of a text column show of the decimal mark that the model was not trained on.

    Attributes:
        name: The column.
        mark: The model's mark.
        number: Cells that read as numbers with the other mark in them.
        certain: Those among them that do under the other one only.
        own: Cells that do under the model's only.
        example: The first certain one.
    """

    name: str
    mark: str
    number: int = 0
    certain: int = 0
    own: int = 0
    example: str = ""

    @property
    def other(self) -> str:
        """The other mark."""
        return next(m for m in DECIMAL_MARKS if m != self.mark)

    @property
    def is_doubtful(self) -> bool:
        """Whether cells that may be of either mark are in doubt: it is more than slips in a column of the model's."""
        return self.certain > 0 and self.own < LEAST_READABLE * (self.own + self.certain)

    def count(self, cells: Sequence[object]) -> None:
        """Take account of further cells."""
        mark, other = self.mark, self.other
        for cell in cells:
            if not isinstance(cell, str):
                continue
            here, there = read_number(cell, mark) is not None, read_number(cell, other) is not None
            self.own += here and not there
            if other in cell and there:
                self.number += 1
                self.certain += not here
                self.example = self.example or ("" if here else cell.strip())

    def warn(self) -> None:
        """Warn if there were certain ones."""
        if self.certain:
            what = {",": "commas", ".": "points"}[self.other]
            looks = "looks" if self.number == 1 else "look"
            warnings.warn(
                f"{counted(self.number, 'cell')} of column {self.name!r} {looks} like numbers with decimal {what} "
                f"({self.example!r}), and the model was trained on the other mark; type decimal={self.other!r}",
                UserWarning,
                stacklevel=4,
            )


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
                table = table.with_column(name, [_doubted(cell, marks.mark, marks.other) for cell in cells])
        elif decimal != marks.mark and any(isinstance(cell, str) for cell in cells):
            table = table.with_column(name, [_respelt(cell, decimal, marks.mark) for cell in cells])
    return table


def text_columns(schema: pa.Schema) -> list[str]:
    """The names of the columns that hold text."""
    return [field.name for field in schema if is_text(field.type)]


def _respelt(cell: object, decimal: str, mark: str) -> object:
    number = read_number(cell, decimal) if isinstance(cell, str) and not is_missing_number(cell) else None
    return cell if number is None else repr(number).replace(".", mark)


def _doubted(cell: object, mark: str, other: str) -> object:
    """A cell that says both numbers it may be, and so is none; any other as it is."""
    if not isinstance(cell, str) or other not in cell:
        return cell
    here, there = read_number(cell, mark), read_number(cell, other)
    return cell if here is None or there is None or here == there else f"{cell.strip()} ({here:.15g} or {there:.15g}?)"
