"""The targets of a run's rows: their plain values, the rows that have one, and what is done with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.data.dealing import is_empty_cell
from plait.data.rows import Rows
from plait.data.schema import Schema
from plait.data.table import BadRow, Table
from plait.settings import DataSettings, RunSettings
from plait.tasks import TASKS, Task
from plait.training.splitting import read_targets


@dataclass
class RunTargets:
    """The targets of a run.

    Attributes:
        task: The task, which the targets may have decided.
        why: Why it is this one, where they have.
        values: Plain target of every row, None where there is no readable one.
        usable: Positions of rows with a target.
        bad: Rows without a readable one.
        empty: Positions of rows whose target cell is empty.
    """

    task: Task
    why: str | None
    values: list[Any]
    usable: np.ndarray
    bad: list[BadRow]
    empty: np.ndarray

    def leave_out(self, timeless: dict[int, str], data: DataSettings) -> None:
        """Leave out rows that are split by time and have none; no policy can say where they belong."""
        if not timeless:
            return
        bad = [BadRow(i, data.split_by_time, reason) for i, reason in timeless.items()]
        self.bad += [row for row in bad if row.row in set(self.usable.tolist())]
        self.usable = np.array([i for i in self.usable if int(i) not in timeless], dtype=np.int64)


def read_run_targets(
    table: Table, schema: Schema, task: Task, settings: RunSettings, *, may_be_empty: bool = False
) -> RunTargets:
    """Read the target column; rows without a readable target are listed, whatever the policy for bad rows.

    Args:
        table: The rows.
        schema: Its columns.
        task: The task.
        settings: Of the run.
        may_be_empty: Whether rows whose target cell is empty teach without one; they are not bad then.

    Raises:
        ValueError: No row has a readable target.
    """
    values, without_target = read_targets(table, schema.target, task)
    why = None
    if task.becomes is not None:
        name, why = task.becomes([v for v in values if v is not None], settings.task)
        task = TASKS.get(name)
    if len(without_target) == len(table):
        raise ValueError(f"no row of {table.source} has {task.expects} in the target column {schema.target!r}")
    probe = Rows(table, {})
    cells = table.column(schema.target) if schema.target is not None and without_target else []
    empty = [i for i in sorted(without_target) if is_empty_cell(cells[i])]
    for position in sorted(without_target.difference(empty if may_be_empty else [])):
        probe.report(position, schema.target or "", f"the target cell does not hold {task.expects}")
    usable = np.array([i for i in range(len(table)) if i not in without_target], dtype=np.int64)
    return RunTargets(task, why, values, usable, probe.bad, np.array(empty, dtype=np.int64))
