"""A run opened: table read, columns and task known, rows split, every setting resolved; nothing is encoded yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.api.more_rows import with_more_rows
from plait.api.run_columns import tell_columns
from plait.api.run_targets import read_run_targets
from plait.api.unlabelled_rows import UnlabelledPart, advice_on_empty, check_semi, find_unlabelled, semi_method
from plait.data.bad_rows import bad_rows_message
from plait.data.column_kind import kind_of
from plait.data.progress import Progress
from plait.data.remote.columns import bring_columns
from plait.data.schema import Schema
from plait.data.sources import Opened, open_source
from plait.data.table import BadRow, Table
from plait.fusion import FUSIONS
from plait.objectives import check_objectives, chosen_objectives
from plait.registry import unknown_name
from plait.settings import NO_METHOD, NO_PRETRAINING, RunSettings, from_dict, merge_values, set_values, to_dict
from plait.tasks import Task, as_ordered
from plait.training.recipes import resolve, with_alternative
from plait.training.recipes.facts import facts_of
from plait.training.splitting import make_split, rows_without_time


@dataclass
class OpenedRun:
    """A table opened, its columns distinguished, its rows split and every setting resolved; nothing is encoded yet.

    Attributes:
        settings: Resolved settings.
        alternative: The same with the other fusion that is trained too (``fusion.alternative``); None: there is none.
        table: The rows.
        schema: Its columns.
        task: The task.
        values: Plain target of every row, None where there is no readable one.
        usable: Positions of rows with a target.
        split: "train", "val" or "test" for every usable row.
        notes: Sentences for the report.
        bad: Rows without a readable target.
        fresh_pairs: Whether wrong pairs are drawn anew every epoch.
        added: Rows at the end of the table that came from other ones (``more``, ``unlabelled``) and judge nothing.
        unlabelled: Rows without a target that teach; None: there are none.
        advice: What may be done with rows whose target cell is empty, for messages about them; "" without any.
        second: Of the tables that were given as ``more`` and ``unlabelled``, by these names: "source" (its name,
            without its folder) and "rows".
    """

    settings: RunSettings
    table: Table
    schema: Schema
    task: Task
    values: list[Any]
    usable: np.ndarray
    split: np.ndarray
    notes: list[str]
    bad: list[BadRow]
    fresh_pairs: bool
    alternative: RunSettings | None = None
    added: int = 0
    unlabelled: UnlabelledPart | None = None
    advice: str = ""
    second: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def own_table(self) -> Table:
        """The table without the rows of a second one."""
        return self.table.take(np.arange(len(self.table) - self.added)) if self.added else self.table

    @property
    def own_split(self) -> np.ndarray:
        """The split of its rows."""
        return self.split[: len(self.split) - self.added]


def open_run(
    source: Any, given: dict[str, Any], base: RunSettings, assignments: list[str], *, annotations: str | None,
    more: Any = None, unlabelled: Any = None, progress: Progress | None = None,
) -> OpenedRun:  # fmt: skip
    """Open the table, tell its columns and task, split its rows and resolve every setting.

    Args:
        source: The table, or an ``Opened`` one.
        given: Settings by path.
        base: Settings to start from.
        assignments: Further settings as "a.b=c".
        annotations: Folder of COCO annotations other than ``annotations``.
        more: A second table of labelled rows that only train; None: there is none.
        unlabelled: A table of rows without a target that teach; None: there is none.
        progress: Counts the objects that are fetched, where cells are addresses and that is allowed.

    Raises:
        ValueError: Something about the table or the settings; the message says what to type.
    """
    settings = set_values(merge_values(base, given), assignments)
    settings = replace(settings, task=as_ordered(settings.task))
    if settings.train.threads is not None:
        torch.set_num_threads(settings.train.threads)
    method = semi_method(settings.semi, unlabelled)
    opened = source
    if not isinstance(source, Opened):
        opened = open_source(
            source, settings.data, task=settings.task.name, annotations=annotations, seed=settings.train.seed
        )
    table = opened.table
    for name in settings.judge.by:
        if name not in table.column_names:
            raise ValueError(unknown_name("column in judge.by", name, table.column_names))
    columns = tell_columns(opened, settings.task)
    media = [c for m in columns.schema.modalities if kind_of(m).names_files for c in m.columns]
    bring_columns(table, media, progress)
    further = None if more is None else with_more_rows(table, more, columns.schema, columns.task, columns.data)
    timeless = rows_without_time(table, columns.data)
    own, table = table, table if further is None else further.table
    is_semi = method != NO_METHOD or (unlabelled is not None and settings.pretrain.objective != NO_PRETRAINING)
    targets = read_run_targets(table, columns.schema, columns.task, settings, may_be_empty=is_semi)
    schema, task = columns.schema, targets.task
    method = semi_method(settings.semi, unlabelled, task)
    settings = replace(settings, semi=replace(settings.semi, method=method))
    check_semi(method, task)
    advice = advice_on_empty(len(targets.empty), task) if not is_semi else ""
    targets.leave_out(timeless, columns.data)
    usable = targets.usable
    try:
        split, dealt = make_split(
            own, schema, usable[usable < len(own)], targets.values[: len(own)], task, settings.train.seed, columns.data
        )
    except ValueError as error:
        if settings.data.on_bad_row == "error" and targets.bad:  # which may be why so few are left
            raise ValueError(advice + bad_rows_message(targets.bad, table)) from error
        raise
    if further is not None:
        split, usable = further.split(split, usable, schema)
        dealt += further.notes
        if task.output_kind in ("classes", "labels"):
            dealt += further.warn_of_new_classes(targets.values, usable)
    without, values, second = None, targets.values, {}
    if further is not None:
        second["more"] = {"source": Path(further.source).name, "rows": len(further.rows) + further.empty}
    if is_semi:
        without = find_unlabelled(
            table, unlabelled, schema, task, columns.data, empty=targets.empty, usable=usable, split=split
        )
        num_added = len(without.table) - len(table)
        if without.source is not None:
            second["unlabelled"] = {"source": Path(without.source).name, "rows": num_added}
        table, dealt = without.table, [*dealt, *without.notes]
        split = np.concatenate([split, np.full(num_added, "", dtype=object)])
        values = [*values, *([None] * num_added)]
    if columns.data.calibration and task.output_kind not in ("classes", "labels", "number"):
        raise ValueError(
            f"calibration={columns.data.calibration:g} keeps rows for probabilities, sets and intervals; a model that "
            f"{task.family.does} has none: leave it out"
        )
    asked = from_dict(RunSettings, {**to_dict(settings), "data": to_dict(columns.data)})
    facts = facts_of(task.name, table, schema, int((split[usable] == "train").sum()))
    settings, alternative = resolve(asked, facts), with_alternative(asked, facts)
    task = replace(task, selects=settings.task.select_by or task.selects)
    fusion = FUSIONS.get(settings.fusion.name) if settings.fusion.name in FUSIONS else None
    check_objectives(
        chosen_objectives(settings.train, pair_head=settings.task.head == "pair"), task=task,
        num_modalities=len(schema.modalities), num_validation=int((split[usable] == "val").sum()),
        is_late=fusion is not None and fusion.is_late, reads_tokens=fusion is not None and fusion.info.needs_tokens,
    )  # fmt: skip
    if unlabelled is not None and not is_semi:
        dealt = [*dealt, "semi=none, and no pretraining: the unlabelled rows were not read"]
    notes = [f"task {task.name}: {targets.why or columns.why}", *opened.notes, *columns.notes, *dealt]
    fresh_pairs = opened.random_pairs and settings.recipe != "classic"
    return OpenedRun(
        settings, table, schema, task, values, usable, split, notes, targets.bad, fresh_pairs, alternative,
        added=len(table) - len(own), unlabelled=without, advice=advice, second=second,
    )  # fmt: skip
