"""Labelled rows from a second table that a run trains on besides its own: appended to the training part, never judged.

The filled file of ``plait suggest`` comes in this way. Validation, test and calibration rows stay those of the first
table, so that numbers before and after can be compared; an added row that shows what one of these shows, or is of its
group, is left out.
"""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.api.decimal_commas import read_with_mark, readings_with
from plait.api.turned_dates import doubt_turned_dates
from plait.data.column_kind import kind_of
from plait.data.items import read_rows
from plait.data.schema import Schema
from plait.data.shared_content import shared_content
from plait.data.sources import open_source
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.seen_rows import SeenInputs, row_hashes
from plait.training.splitting import column_groups

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
        added = usable[usable >= self.first]
        tied = np.zeros(len(self.table), dtype=bool)
        hashes, known = row_hashes(read_rows(self.table, schema.modalities))
        own = usable[usable < self.first]
        if SeenInputs.of_hashes(hashes[own][known[own]]).tells:
            tied[added] = known[added] & np.isin(hashes[added], hashes[judging][known[judging]])
        else:
            self.notes.append(
                f"rows of {self.source} that equal a validation, test or calibration row are not left out by their "
                "contents: so many rows of the table look alike that this proves nothing"
            )
        columns: list[list[Any]] = list(shared_content(self.table, schema, usable).keys.values())
        group_N = column_groups(self.table, schema)
        columns += [] if group_N is None else [group_N.tolist()]
        for keys in columns:
            judged = {keys[int(i)] for i in judging} - {None}
            tied[[int(i) for i in added if keys[int(i)] in judged]] = True
        return np.flatnonzero(tied)


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
    reading = replace(data, format=None, delimiter=None, columns=(), source=None)
    opened = open_source(more, reading, task=task.name, readings=readings_with(schema.readings, data.decimal)).table
    opened = doubt_turned_dates(read_with_mark(opened, schema, data.decimal), schema)
    _check_columns(opened, schema)
    _check_folders(table, opened, schema)
    filled = np.arange(len(opened))
    if schema.target is not None:
        cells = opened.column(schema.target)
        filled = np.array([i for i, cell in enumerate(cells) if not _is_empty(cell)], dtype=np.int64)
    if len(filled) == 0:
        raise ValueError(
            f"no row of {opened.source} has a value in the target column {schema.target!r} yet; fill some in, or leave "
            "more= out"
        )
    added = opened.arrow.take(pa.array(filled))
    rows = tuple(opened.row_number(int(i)) for i in filled)
    columns = [_column(table, added, name, schema, opened.source, rows) for name in table.column_names]
    joined = pa.concat_tables([table.arrow, pa.table(columns, schema=table.arrow.schema)])
    last = max((table.row_number(i) for i in range(len(table))), default=-1)
    numbers = [*(table.row_number(i) for i in range(len(table))), *range(last + 1, last + 1 + len(filled))]
    notes = [
        f"{opened.source} has no column {c!r}; it counts as missing in its rows"
        for c in schema.inputs if c not in opened.column_names
    ]  # fmt: skip
    notes += [f"rows of {opened.source} are numbered from {last + 1:,} on here"]
    appended = (last + 1, opened.source, rows)
    both = replace(table, arrow=joined, row_numbers=tuple(numbers), appended=appended)
    return MoreRows(both, len(table), opened.source, rows, len(opened) - len(filled), notes)


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell) or (isinstance(cell, str) and not cell.strip())


def _check_columns(opened: Table, schema: Schema) -> None:
    there = set(opened.column_names)
    if schema.target is not None and schema.target not in there:
        raise ValueError(
            f"{opened.source} (more=) has no column {schema.target!r}, the target; it has "
            f"{', '.join(opened.column_names)}"
        )
    if not there & set(schema.inputs):
        raise ValueError(
            f"{opened.source} (more=) has none of the input columns {', '.join(schema.inputs)}; it has "
            f"{', '.join(opened.column_names)}"
        )


def _check_folders(table: Table, opened: Table, schema: Schema) -> None:
    """Refuse rows whose cells name files from another folder than those of the first table."""
    here, there = ((one.root or Path.cwd()).resolve() for one in (table, opened))
    if here == there or opened.root is None:
        return
    for modality in schema.modalities:
        if kind_of(modality).watched is None:
            continue
        for column in (c for c in modality.columns if c in opened.column_names):
            if any(isinstance(cell, str) for cell in opened.column(column)):
                raise ValueError(
                    f"cells of column {column!r} name files, in {opened.source} (more=) from {there} and in "
                    f"{table.source} from {here}; move the file there"
                )


def _column(
    table: Table, added: pa.Table, name: str, schema: Schema, source: str, rows: tuple[int, ...]
) -> pa.ChunkedArray:
    """A column of the added rows in the type that it has in the first table."""
    kind = table.arrow.schema.field(name).type
    if name == schema.split:
        return pa.chunked_array([pa.array(["train"] * len(added), pa.string()).cast(kind)])
    if name not in added.column_names:
        return pa.chunked_array([pa.nulls(len(added), kind)])
    try:
        return added.column(name).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"column {name!r} of {source} (more=) holds {added.column(name).type}, expected {kind} as in "
            f"{table.source}{_first_odd(added.column(name), kind, rows)}"
        ) from error


def _first_odd(column: pa.ChunkedArray, kind: pa.DataType, rows: tuple[int, ...]) -> str:
    """The first cell that is not of the type, by its row in its own file."""
    for number, cell in zip(rows, column, strict=True):
        try:
            cell.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return f"; row {number} of it holds {repr(cell.as_py())[:80]}"
    return ""
