"""Dates of a later table that stand in the other order of day and month than those of the training table.

``07/15/2024`` is no date where the day comes first, and is a bad cell. But then ``04/07/2024`` beside it is no 4 July
either: every cell of that column that could be read both ways is in doubt, and becomes a cell that cannot be read,
unless nine in ten of those that leave no doubt are in the order of training.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from plait.api.decimal_commas import text_columns
from plait.data.moments import date_order_of
from plait.data.read_cells import LEAST_READABLE
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import DATE_ORDERS
from plait.registry import counted

_IN_WORDS = {"dmy": "day first", "mdy": "month first"}


@dataclass
class TurnedDates:
    """What the cells of a text column show of the order of day and month that the model was not trained on.

    Attributes:
        name: The column.
        order: The order of training.
        certain: Cells that are dates in the other order only.
        own: Cells that are dates in the order of training only.
        open_cells: Cells that could be either.
        first: Row number and text of the first certain one.
    """

    name: str
    order: str
    certain: int = 0
    own: int = 0
    open_cells: int = 0
    first: tuple[int, str] = (0, "")

    @property
    def is_doubtful(self) -> bool:
        """Whether cells that could be either are in doubt: it is more than slips, which are bad cells."""
        return self.certain > 0 and self.own < LEAST_READABLE * (self.own + self.certain)

    def count(self, table: Table) -> None:
        """Take account of the cells of a table, or of a further piece of it."""
        cells = table.column(self.name)
        asked = [date_order_of(cell) for cell in cells]
        other = self._other
        if not self.certain and other in asked:
            place = asked.index(other)
            self.first = table.row_number(place), cells[place].strip()
        self.certain += asked.count(other)
        self.own += asked.count(self.order)
        self.open_cells += asked.count("open")

    @property
    def _other(self) -> str:
        return next(o for o in DATE_ORDERS if o != self.order)

    def warn(self) -> None:
        """Warn if cells are in doubt."""
        if self.is_doubtful:
            row, cell = self.first
            warnings.warn(
                f"row {row} of column {self.name!r} holds {cell!r}, {_IN_WORDS[self._other]}, and "
                f"the model was trained on dates with the {_IN_WORDS[self.order]}; so "
                f"{counted(self.open_cells, 'cell')} that could be either "
                f"{'counts' if self.open_cells == 1 else 'count'} as unreadable. Write all of them as 2024-03-05",
                UserWarning,
                stacklevel=5,
            )


def turned_columns(names_of_text: Collection[str], schema: Schema) -> dict[str, TurnedDates]:
    """By name, the text columns whose cells the model reads as dates in one order; nothing is counted yet."""
    orders = {c.name: c.reading.order for c in schema.columns if c.kind == "date" and c.reading is not None}
    return {
        name: TurnedDates(name, order)
        for name, order in orders.items()
        if order in DATE_ORDERS and name in names_of_text
    }


def doubt_turned_dates(table: Table, schema: Schema, found: Mapping[str, TurnedDates] | None = None) -> Table:
    """The table, in which dates that could be read both ways say so where their column holds the other order.

    Args:
        table: The table, or a piece of one.
        schema: The columns of the training table.
        found: Of a piece, what was counted over the whole table; None: it is counted here.

    Warns:
        UserWarning: There are such columns; not of a piece.
    """
    for name, dates in (turned_columns(text_columns(table.arrow.schema), schema) if found is None else found).items():
        if found is None:
            dates.count(table)
            dates.warn()
        cells = table.column(name)
        asked = [date_order_of(cell) for cell in cells] if dates.is_doubtful else []
        if "open" in asked:
            doubtful = [
                f"{cell.strip()} ({_IN_WORDS['dmy']} or {_IN_WORDS['mdy']}?)" if asks == "open" else cell
                for cell, asks in zip(cells, asked, strict=True)
            ]
            table = table.with_column(name, doubtful)
    return table
