"""Dates of a later table that stand in the other order of day and month than those of the training table.

``07/15/2024`` is no date where the day comes first, and is a bad cell. But then ``04/07/2024`` beside it is no 4 July
either: every cell of that column that could be read both ways is in doubt, and becomes a cell that cannot be read,
unless nine in ten of those that leave no doubt are in the order of training.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from plait.api.decimal_commas import text_columns
from plait.data.doubts import TurnedDates
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import DATE_ORDERS


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
            dates.count(table.column(name), table.row_number)
            dates.warn()
        doubted = dates.doubted(table.column(name)) if dates.is_doubtful else None
        if doubted is not None:
            table = table.with_column(name, doubted)
    return table
