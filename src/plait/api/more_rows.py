"""Labelled rows from a second table that a run trains on besides its own: appended to the training part, never judged.

The filled file of ``plait suggest`` comes in this way. Validation, test and calibration rows stay those of the first
table, so that numbers before and after can be compared; an added row that shows what one of these shows, or is of its
group, is left out.
"""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.api.joined_table import joined, open_second, tied_to
from plait.data.dealing import is_empty_cell
from plait.data.items import read_rows
from plait.data.schema import Schema
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.seen_rows import SeenInputs, row_hashes

MOST_NAMED = 10


@dataclass
class MoreRows:
    """A run's table with further rows at its end.

    Attributes:
        table: Both tables; the further rows are numbered on from the last row of the first.
        first: Rows of the first table.
        source: Where the further rows came from.
        rows: Their numbers there.
        empty: Rows of it without a target, which were left behind.
        notes: What must be reported.
    """

    table: Table
    first: int
    source: str
    rows: tuple[int, ...]
    empty: int
    notes: list[str]

    def split(self, split: np.ndarray, usable: np.ndarray, schema: Schema) -> tuple[np.ndarray, np.ndarray]:
        """The split of both tables, and the usable rows of both without those that are tied to rows that judge.

        Args:
            split: Of the rows of the first table.
            usable: Usable rows of both.
            schema: Columns of the first table.
        """
        count = len(self.table) - self.first
        both = np.concatenate([split, np.full(count, "train", dtype=object)])
        added = usable[usable >= self.first]
        tied = self._tied(both, usable, schema)
        kept = usable[~np.isin(usable, tied)]
        both[np.setdiff1d(np.arange(self.first, len(self.table)), kept)] = ""
        told = f"{counted(len(added) - len(tied), 'row')} of {self.source} trained too and judged nothing"
        told += f"; {counted(self.empty, 'row')} of it had no value in {schema.target!r} yet" if self.empty else ""
        self.notes.append(told)
        if len(tied):
            self.notes.append(
                f"{counted(len(tied), 'row')} of {self.source} left out: each shows what a validation, test or "
                "calibration row shows, or is of its group"
            )
        return both, kept

    def warn_of_new_classes(self, values: list[Any], usable: np.ndarray) -> list[str]:
        """Warn of every class of the added rows that the first table does not have, and return the same as notes.

        Args:
            values: Plain class or labels of every row of both.
            usable: Usable rows of both.
        """
        classes_of = {int(i): values[i] if isinstance(values[i], list | tuple | set) else [values[i]] for i in usable}
        known = {one for i, listed in classes_of.items() if i < self.first for one in listed}
        new: dict[Any, list[str]] = {}
        for i in (i for i in classes_of if i >= self.first):
            for one in dict.fromkeys(classes_of[i]):
                if one not in known:
                    new.setdefault(one, []).append(str(self.rows[i - self.first]))
        notes = []
        for one, rows in new.items():
            near = difflib.get_close_matches(str(one).lower(), [str(k).lower() for k in known], n=1, cutoff=0.6)
            meant = [str(k) for k in known if near and str(k).lower() == near[0]][:1]
            hint = f" (did you mean {meant[0]!r}?)" if meant else ""
            shown = ", ".join(rows[:MOST_NAMED]) + (", ..." if len(rows) > MOST_NAMED else "")
            s = "" if len(rows) == 1 else "s"
            notes.append(f"{self.source}, row{s} {shown}: class {one!r} is new, the table has no such class{hint}")
            warnings.warn(notes[-1], UserWarning, stacklevel=2)
        return notes

    def _tied(self, split: np.ndarray, usable: np.ndarray, schema: Schema) -> np.ndarray:
        """Added rows that share a content or the group with a row that does not train."""
        judging = np.flatnonzero((split != "train") & (split != ""))
        hashes, known = row_hashes(read_rows(self.table, schema.modalities))
        own, added = usable[usable < self.first], usable[usable >= self.first]
        tells = SeenInputs.of_hashes(hashes[own][known[own]]).tells
        if not tells:
            self.notes.append(
                f"rows of {self.source} that equal a validation, test or calibration row are not left out by their "
                "contents: so many rows of the table look alike that this proves nothing"
            )
        return np.flatnonzero(tied_to(self.table, schema, judging, usable, added, (hashes, known) if tells else None))


def with_more_rows(table: Table, more: Any, schema: Schema, task: Task, data: DataSettings) -> MoreRows:
    """Append the rows of a second table that have a target; its cells are read as those of the first.

    Args:
        table: The first table.
        more: The second, anything ``read_table`` takes.
        schema: Columns of the first.
        task: The task.
        data: Data settings of the run.

    Raises:
        ValueError: It cannot be read, lacks the target or every input column, has cells of another type, or names its
            files from another folder; or no row of it has a target.
    """
    opened = open_second(table, more, schema, task, data, "more=")
    if schema.target is not None and schema.target not in opened.column_names:
        raise ValueError(
            f"{opened.source} (more=) has no column {schema.target!r}, the target; it has "
            f"{', '.join(opened.column_names)}"
        )
    filled = np.arange(len(opened))
    if schema.target is not None:
        cells = opened.column(schema.target)
        filled = np.array([i for i, cell in enumerate(cells) if not is_empty_cell(cell)], dtype=np.int64)
    if len(filled) == 0:
        raise ValueError(
            f"no row of {opened.source} has a value in the target column {schema.target!r} yet; fill some in, or leave "
            "more= out"
        )
    both, notes = joined(table, opened, filled, schema, "more=")
    rows = tuple(opened.row_number(int(i)) for i in filled)
    return MoreRows(both, len(table), opened.source, rows, len(opened) - len(filled), notes)
