"""The parts that checks of a split look at: those of the split column, or those that a fit would deal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.data.arrow_types import is_list
from plait.data.checks.finding import SEVERITIES
from plait.data.dealing import deal_rows, is_empty_cell
from plait.data.schema import Schema
from plait.data.split import SPLIT_NAMES
from plait.data.table import Table
from plait.data.values import spelling
from plait.settings import DataSettings

# A column that parts like from like is a fault of the table; time and chance do it without anyone's fault.
MOST_SEVERE = {"column": "error", "time": "warning", "random": "info"}


@dataclass(frozen=True)
class Parts:
    """A part for each row.

    Attributes:
        names: Of each row: "train", "val", "test", "calibration", what the split column holds otherwise, or "" for a
            row that stands in none.
        how: "column", "time" or "random".
        told: How rows were split, for a finding; "" of a split column.
    """

    names: list[str]
    how: str
    told: str = ""

    @property
    def are_several(self) -> bool:
        """Whether there are two parts or more."""
        return len(set(self.names) - {""}) > 1

    def severity(self, wanted: str) -> str:
        """The severity of a finding of this split."""
        return max(wanted, MOST_SEVERE[self.how], key=SEVERITIES.index)

    def with_told(self, detail: str) -> str:
        """What was found, and in which split."""
        return f"{detail}; {self.told}" if self.told else detail


def parts_of_column(table: Table, schema: Schema) -> Parts | None:
    """The parts that the split column names; None without one."""
    if schema.split is None:
        return None
    return Parts([SPLIT_NAMES.get(str(v).strip().lower(), f"{v}") for v in table.column(schema.split)], "column")


def parts_of_fit(table: Table, schema: Schema, data: DataSettings, seed: int) -> Parts | None:
    """The parts that a fit makes of a table: of its split column, of a time, or at random.

    Args:
        table: The rows.
        schema: Its columns.
        data: Data settings, which say whether rows are split by time.
        seed: Of the fit.

    Returns:
        A column with two parts as it stands; None where rows cannot be dealt, which other findings say.
    """
    own = parts_of_column(table, schema)
    if own is not None and own.are_several:
        return own
    cells = None if schema.target is None else table.column(schema.target)
    usable = np.arange(len(table)) if cells is None else np.array(
        [i for i, cell in enumerate(cells) if not is_empty_cell(cell)], dtype=np.int64
    )  # fmt: skip
    column = None if schema.target is None else schema.column(schema.target)
    is_class = column is not None and column.scale == "class"
    is_class &= column is not None and not is_list(table.arrow.schema.field(column.name).type)

    def strata(rows: np.ndarray) -> list[str] | None:
        return [str(spelling(cells[int(i)])) for i in rows] if is_class and cells is not None else None

    try:
        names, _ = deal_rows(table, schema, usable, strata, seed, data)
    except ValueError:
        return own
    if data.split_by_time is not None:
        how, told = "time", f"rows are split by time, by column {data.split_by_time!r}"
    else:
        how, told = "random", "rows are split at random, as a fit with these options does"
    return Parts([str(name) for name in names], how, told)
