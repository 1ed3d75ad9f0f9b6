"""The targets of a run's rows: their plain values, the rows that have one, and what is done with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """

    task: Task
    why: str | None
    values: list[Any]
    usable: np.ndarray
    bad: list[BadRow]

    def leave_out(self, timeless: dict[int, str], data: DataSettings) -> None:
        """Leave out rows that are split by time and have none; no policy can say where they belong."""
        if not timeless:
            return
        bad = [BadRow(i, data.split_by_time, reason) for i, reason in timeless.items()]
        self.bad += [row for row in bad if row.row in set(self.usable.tolist())]
        self.usable = np.array([i for i in self.usable if int(i) not in timeless], dtype=np.int64)


def read_run_targets(table: Table, schema: Schema, task: Task, settings: RunSettings) -> RunTargets:
    """Read the target column; rows without a readable target are listed, whatever the policy for bad rows.

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
    for position in without_target:
        probe.report(position, schema.target or "", f"the target cell does not hold {task.expects}")
    usable = np.array([i for i in range(len(table)) if i not in without_target], dtype=np.int64)
    return RunTargets(task, why, values, usable, probe.bad)
