"""Rows without a target that a run learns from: those of a second table, and those of the table itself.

They are in no part of the split. A row that shows what a row of the split shows is left out, counted and told by its
number. A target that a row of the second table has all the same trains nothing: pseudo-labels are compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.api.joined_table import joined, open_second, repeats_of_judged, tied_to
from plait.data.column_kind import Hints
from plait.data.dealing import is_empty_cell
from plait.data.items import read_rows
from plait.data.schema import Schema
from plait.data.split import read_split
from plait.data.split_time import read_times
from plait.data.table import Table
from plait.registry import counted
from plait.settings import NO_METHOD, DataSettings, UnlabelledSettings
from plait.settings.unlabelled import CONSISTENCY, STUDENT, TEACHERS, TRANSPORT
from plait.tasks import Task
from plait.training.seen_rows import SeenInputs, row_hashes
from plait.training.splitting import parse_targets

ARGUMENT = "unlabelled="
METHODS_OF = {
    "classes": (*TEACHERS, *CONSISTENCY), "labels": ("self_training", "co_training", STUDENT, "mean_teacher"),
    "number": ("self_training", STUDENT), "embeddings": (TRANSPORT,),
}  # fmt: skip
USUAL = {"classes": "propagation", "embeddings": TRANSPORT}
OTHERWISE = "self_training"  # where rows are given and no method is asked for
SHOWN = 10  # row numbers that are named
NEITHER = "hold nothing that the model reads"
MARKED = "are marked val, test or calibration in the split column"
JUDGED = "show what a validation, test or calibration row shows, or are of its group"
LATER = "are later than the last training row, in a run that is split by time"
TIMELESS = "have no time, in a run that is split by time"
KNOWN = "show the same as a labelled row"
REPEATED = "show the same as another unlabelled row"


@dataclass
class UnlabelledPart:
    """The rows without a target of a run.

    Attributes:
        table: All rows, those of the second table at the end.
        positions: Of the rows that teach.
        truth: Plain targets by position, where a row has one all the same.
        source: Where the others came from; None: there is no second table.
        left_out: Why rows were left out, with their number and the first row numbers.
        notes: What must be reported.
        numbers: The number of each row in its own table, in words.
    """

    table: Table
    positions: np.ndarray
    truth: dict[int, Any]
    source: str | None
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[int, str] = field(default_factory=dict)

    def leave_out(self, gone: np.ndarray, why: str) -> None:
        """Leave out the rows at some positions, for a reason that follows "rows"."""
        if len(gone):
            shown = [self.numbers[int(i)] for i in gone[:SHOWN]]
            self.left_out.append({"rows": len(gone), "why": why, "numbers": shown})
            self.positions = self.positions[~np.isin(self.positions, gone)]


def semi_method(settings: UnlabelledSettings, unlabelled: Any, task: Task | None = None) -> str:
    """The method that is asked for; where only rows are given the usual one of the task, which may not be known yet."""
    if settings.method is None:
        return NO_METHOD if unlabelled is None else USUAL.get(task.output_kind if task else "", OTHERWISE)
    return settings.method


def check_semi(method: str, task: Task) -> None:
    """Refuse a method that the task has no use for.

    Raises:
        ValueError: The task has no pseudo-labels, or not those of this method; the message names what works.
    """
    known = methods_for(task)
    if method == NO_METHOD or method in known:
        return
    if known:
        raise ValueError(
            f"semi={method!r} does not go with task {task.name}; type semi={known[0]!r}"
            f"{' (or ' + ', '.join(known[1:]) + ')' if known[1:] else ''}, or leave it out"
        )
    raise ValueError(
        f"unlabelled rows teach classes, label sets, numbers and retrieval; task {task.name} learns nothing from them: "
        f"leave {ARGUMENT} and semi= out"
    )


def methods_for(task: Task) -> tuple[str, ...]:
    """Methods that a task can use."""
    if task.judges_pairs:
        return ()
    return METHODS_OF.get(task.output_kind, ())


def advice_on_empty(rows: int, task: Task) -> str:
    """What rows whose target cell is empty may be used for; "" where there are none, or they teach nothing."""
    if rows == 0 or not task.needs_target or not methods_for(task):
        return ""
    have = "has" if rows == 1 else "have"
    return (
        f"{counted(rows, 'row')} {have} an empty target; semi='self_training' learns from such rows as well, "
        "on_bad_row='skip' leaves them out.\n"
    )


def find_unlabelled(
    table: Table, other: Any, schema: Schema, task: Task, data: DataSettings, *, empty: np.ndarray, usable: np.ndarray,
    split: np.ndarray,
) -> UnlabelledPart:  # fmt: skip
    """The rows that teach without a target.

    Args:
        table: The labelled table, with further labelled rows where there are some.
        other: A second table of rows without a target; None: there is none.
        schema: Columns of the first.
        task: The task.
        data: Data settings of the run.
        empty: Positions of its rows whose target cell is empty.
        usable: Positions of its rows with a target.
        split: Of its rows.

    Raises:
        ValueError: The second table cannot be read, has none of the input columns, cells of another type or files in
            another folder, or no row is left.
    """
    first, notes, source = len(table), [], None
    numbers = {int(i): f"row {table.row_number(int(i))}" for i in empty}
    positions = empty.astype(np.int64)
    marked = positions[np.isin(_marks(table, schema, positions), ("val", "test", "calibration"))]
    if other is not None:
        opened = open_second(table, other, schema, task, data, ARGUMENT)
        source = opened.source
        if len(opened) == 0:
            raise ValueError(f"{source} ({ARGUMENT}) has no rows; give some, or leave {ARGUMENT} out")
        marks = _marks(opened, schema, np.arange(len(opened)))
        optional = [] if schema.target is None else [schema.target]
        table, notes = joined(table, opened, np.arange(len(opened)), schema, ARGUMENT, optional=optional)
        added = np.arange(first, len(table))
        numbers |= {int(i): f"row {opened.row_number(int(i) - first)} of {source}" for i in added}
        positions = np.concatenate([positions, added])
        marked = np.concatenate([marked, added[np.isin(marks, ("val", "test", "calibration"))]])
    part = UnlabelledPart(table, positions, {}, source, notes=notes, numbers=numbers)
    part.truth = _known_targets(table, schema, task, np.arange(first, len(table)))
    if other is not None and schema.group is not None and schema.group not in opened.column_names:
        notes.append(f"{source} has no column {schema.group!r}, so rows of a held-out group cannot be told in it")
    _leave_out_repeats(part, schema, split, usable, marked)
    _leave_out_later(part, data, split, usable)
    if len(part.positions) == 0:
        told = [f"{one['rows']:,} {one['why']}" for one in part.left_out]
        raise ValueError(
            f"no unlabelled row is left to learn from in {source or table.source}"
            f"{': ' + '; '.join(told) if told else ', in which every row has a target'}; give other rows with "
            f"{ARGUMENT}TABLE, or leave semi= out"
        )
    return part


def _leave_out_repeats(
    part: UnlabelledPart, schema: Schema, split: np.ndarray, usable: np.ndarray, marked: np.ndarray
) -> None:
    """Leave out rows that are marked, that hold nothing, or that show what others show."""
    rows = read_rows(part.table, schema.modalities)
    hashes, known = row_hashes(rows)
    judging = usable[(split[usable] != "train") & (split[usable] != "")]
    tells = SeenInputs.of_hashes(hashes[usable][known[usable]]).tells
    if not tells:
        part.notes.append(
            "unlabelled rows that equal a labelled row are not left out by their contents: so many rows of the table "
            "look alike that this proves nothing"
        )
    leave = part.leave_out
    leave(marked, MARKED)
    leave(part.positions[~known[part.positions]], NEITHER)
    everything = np.concatenate([usable, part.positions])
    tied = tied_to(part.table, schema, judging, everything, part.positions, None)  # whole rows are compared just below
    leave(part.positions[tied[part.positions]], JUDGED)
    leave(part.positions[repeats_of_judged(rows, judging, usable, part.positions)], JUDGED)
    if tells:
        leave(part.positions[np.isin(hashes[part.positions], hashes[usable][known[usable]])], KNOWN)
        first_of = np.unique(hashes[part.positions], return_index=True)[1]
        leave(np.delete(part.positions, first_of), REPEATED)


def _leave_out_later(part: UnlabelledPart, data: DataSettings, split: np.ndarray, usable: np.ndarray) -> None:
    """Of a run that is split by time, leave out rows later than its training rows, and those of no time."""
    train = usable[split[usable] == "train"]
    if data.split_by_time is None or len(train) == 0:
        return
    at = read_times(part.table, data.split_by_time, Hints(data.decimal, data.date_order)).at
    last = max(at[int(i)] for i in train)
    part.leave_out(np.array([i for i in part.positions if at[int(i)] is None], dtype=np.int64), TIMELESS)
    part.leave_out(np.array([i for i in part.positions if at[int(i)] > last], dtype=np.int64), LATER)


def _marks(table: Table, schema: Schema, positions: np.ndarray) -> np.ndarray:
    """What the split column says of rows; "" where it says nothing or is not there."""
    if schema.split is None or schema.split not in table.column_names or len(positions) == 0:
        return np.full(len(positions), "", dtype=object)
    cells = table.take(positions).column(schema.split)
    filled = [not is_empty_cell(cell) for cell in cells]
    found = np.full(len(cells), "", dtype=object)
    found[filled] = read_split([cell for cell, is_filled in zip(cells, filled, strict=True) if is_filled])
    return found


def _known_targets(table: Table, schema: Schema, task: Task, positions: np.ndarray) -> dict[int, Any]:
    """Plain targets of rows that have one all the same, by position."""
    if schema.target is None or len(positions) == 0:
        return {}
    cells = table.take(positions).column(schema.target)
    values = parse_targets(cells, task, table.reading(schema.target))
    return {
        int(i): value for i, cell, value in zip(positions, cells, values, strict=True)
        if value is not None and not is_empty_cell(cell)
    }  # fmt: skip
