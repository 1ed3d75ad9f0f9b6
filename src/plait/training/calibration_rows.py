"""Which rows of a table may calibrate a finished model: those that neither trained it nor chose its epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from plait.data.schema import Schema
from plait.data.split import CALIBRATION
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.known_split import recognise


def choose_calibration_rows(
    table: Table, rows: str | None, *, schema: Schema, task: Task, seed: int, facts: Mapping[str, Any],
    data: DataSettings | None = None,
) -> tuple[Table, str, list[str]]:  # fmt: skip
    """The rows to calibrate on, what to call them, and what must be reported.

    Args:
        table: The rows.
        rows: "calibration", "test" or "all"; None: calibration where the table has such rows, else all.
        schema: As for :func:`plait.training.known_split.choose_rows`, like the arguments after it.

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
        return table, "all", [_unknown(table)]
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
            f"{int(seen.sum()):,} of {counted(len(chosen), 'row')} of {table.source} {how}: what is learned on them is "
            f"too sure of itself. Give rows that the model has not seen{advice}"
        )
    notes = [] if known.is_split_known else [_unknown(table)]
    return table if rows == "all" else table.take(chosen), rows, notes


def _unknown(table: Table) -> str:
    return (
        f"{table.source} is not the table the model was trained on: whether rows of it were in that too cannot be "
        "told; if they were, coverage is promised for nothing"
    )
