"""Dates of a later table that stand in the other order of day and month than those of the training table.

``07/15/2024`` is no date where the day comes first, and is a bad cell. But then ``04/07/2024`` beside it is no 4 July
either: every cell of that column that could be read both ways is in doubt, and becomes a cell that cannot be read,
unless nine in ten of those that leave no doubt are in the order of training.
"""

from __future__ import annotations

import warnings

from plait.data.arrow_types import is_text
from plait.data.moments import date_order_of
from plait.data.read_cells import LEAST_READABLE
from plait.data.schema import Schema
from plait.data.table import Table
from plait.data.values import DATE_ORDERS
from plait.registry import counted

_IN_WORDS = {"dmy": "day first", "mdy": "month first"}


def doubt_turned_dates(table: Table, schema: Schema) -> Table:
    """The table, in which dates that could be read both ways say so where their column holds the other order.

    Warns:
        UserWarning: There are such columns.
    """
    for column in schema.columns:
        name = column.name
        order = column.reading.order if column.reading is not None else ""
        if column.kind != "date" or order not in DATE_ORDERS or name not in table.column_names:
            continue
        if not is_text(table.arrow.schema.field(name).type):
            continue
        cells = table.column(name)
        asked = [date_order_of(cell) for cell in cells]
        other = next(o for o in DATE_ORDERS if o != order)
        certain, own = asked.count(other), asked.count(order)
        if certain == 0 or own >= LEAST_READABLE * (own + certain):
            continue  # at most slips, which are bad cells
        first, open_cells = asked.index(other), asked.count("open")
        warnings.warn(
            f"row {table.row_number(first)} of column {name!r} holds {cells[first].strip()!r}, {_IN_WORDS[other]}, and "
            f"the model was trained on dates with the {_IN_WORDS[order]}; so "
            f"{counted(open_cells, 'cell')} that could be either {'counts' if open_cells == 1 else 'count'} as "
            "unreadable. Write all of them as 2024-03-05",
            UserWarning,
            stacklevel=4,
        )
        doubtful = [
            f"{cell.strip()} ({_IN_WORDS['dmy']} or {_IN_WORDS['mdy']}?)" if asks == "open" else cell
            for cell, asks in zip(cells, asked, strict=True)
        ]
        table = table.with_column(name, doubtful)
    return table
