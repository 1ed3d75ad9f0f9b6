"""Which rows of a table may calibrate a finished model: those that neither trained it nor chose its epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.schema import Schema
from plait.data.split import CALIBRATION
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.known_split import recognise
from plait.training.seen_rows import SeenInputs

MOST_SHARED = 0.5  # of the rows: more that were seen, and the table is refused
MOST_NAMED = 10
_SURE = "what is learned on them is too sure of itself. Give rows that the model has not seen"


def choose_calibration_rows(
    table: Table, rows: str | None, *, schema: Schema, task: Task, seed: int, facts: Mapping[str, Any],
    data: DataSettings | None = None, seen: SeenInputs | None = None, modalities: Sequence[Modality] = (),
) -> tuple[Table, str, list[str]]:  # fmt: skip
    """The rows to calibrate on, what to call them, and what must be reported.

    Rows of another table that have the inputs of a row that was seen are left out, and refused where they are most.

    Args:
        table: The rows.
        rows: "calibration", "test" or "all"; None: calibration where the table has such rows, else all.
        schema: As for :func:`plait.training.known_split.choose_rows`, like the arguments up to ``data``.
        seen: Hashes of the rows that trained the model or chose its epoch; None: not known.
        modalities: What the model reads.

    Raises:
        ValueError: Rows that trained the model or chose its epoch are among them, or there are no such rows.
    """
    known = recognise(table, schema=schema, task=task, seed=seed, facts=facts, data=data)
    if known.is_training_table and not known.is_split_known:
        raise ValueError(
            f"{table.source} is the table the model was trained on, and which of its rows trained cannot be told "
            "again; calibrate on rows of another table"
        )
    if known.split is None:
        if rows not in (None, "all"):
            raise ValueError(f"{table.source} has no split column, so rows={rows!r} cannot be chosen; use all")
        kept, notes = _unseen(table, seen, modalities, facts)
        return kept, "all", notes
    present = [s for s in (CALIBRATION, "test", "val", "train") if (known.split == s).any()]
    if rows is None:
        rows = CALIBRATION if CALIBRATION in present else "all"
    if rows != "all" and rows not in present:
        raise ValueError(f"{table.source} has no rows of split {rows!r}; it has {', '.join(present)}")
    chosen = np.arange(len(table)) if rows == "all" else np.flatnonzero(known.split == rows)
    seen = np.isin(known.split[chosen], ("train", "val"))
    if seen.any():
        how = "trained the model or chose its epoch" if known.is_split_known else (
            f"are marked train or val in column {known.column!r}"
        )  # fmt: skip
        advice = "; rows='test' takes the test rows, which then can judge nothing more" if "test" in present else ""
        raise ValueError(
            f"{int(seen.sum()):,} of {counted(len(chosen), 'row')} of {table.source} {how}: {_SURE}{advice}"
        )
    table = table if rows == "all" else table.take(chosen)
    if known.is_split_known:
        again = ", which have calibrated the model before: give rows of another table to learn anything new"
        told = (
            f"{table.source} is the table the model was trained on: taken are the {counted(len(chosen), 'row')} of its "
            f"part '{rows}'{again if rows == CALIBRATION else ''}"
        )
        return table, rows, [told]
    table, notes = _unseen(table, seen, modalities, facts)
    return table, rows, notes


def _unseen(
    table: Table, seen: SeenInputs | None, modalities: Sequence[Modality], facts: Mapping[str, Any]
) -> tuple[Table, list[str]]:
    """The rows without those that the model has seen, and what must be reported.

    Raises:
        ValueError: They are most of the rows.
    """
    if seen is None:
        return table, [_unknown(table)]
    rows = read_rows(table, modalities)
    if not seen.tells:
        if seen.is_whole and facts.get("rows") == len(table) and seen.are_all_in(rows):
            raise ValueError(
                f"{table.source} holds every row that trained the model or chose its epoch, in another order: {_SURE}"
            )
        return table, [
            f"{table.source} is not the table the model was trained on; {seen.chance:.0%} of the model's rows have a "
            "twin with the same inputs, so whether rows of it were in that too cannot be told; if they were, coverage "
            "is promised for nothing"
        ]
    found_N, told_N = seen.found_in(rows)
    count, told = int(found_N.sum()), int(told_N.sum())
    of = f"{count:,} of {counted(len(table), 'row')}"
    of = of if told == len(table) else f"{of} ({told:,} could be compared)"
    if count > MOST_SHARED * max(1, told):
        raise ValueError(f"{of} of {table.source} trained the model or chose its epoch: {_SURE}")
    notes = []
    if not seen.is_whole:
        notes.append(
            f"{table.source}: of the {seen.rows:,} rows of the model {len(seen.hashes):,} are known again by their "
            "contents; a few others may be among these"
        )
    if count:
        numbers = [str(table.row_number(int(i))) for i in np.flatnonzero(found_N)[:MOST_NAMED]]
        more = ", ..." if count > MOST_NAMED else ""
        notes.append(
            f"{of} of {table.source} trained the model or chose its epoch and {'is' if count == 1 else 'are'} left out "
            f"(row{'' if count == 1 else 's'} {', '.join(numbers)}{more})"
        )
        table = table.take(np.flatnonzero(~found_N))
    return table, notes


def _unknown(table: Table) -> str:
    return (
        f"{table.source} is not the table the model was trained on: whether rows of it were in that too cannot be "
        "told; if they were, coverage is promised for nothing"
    )
