"""Which rows of a run train, validate, calibrate and test, and which are drawn together.

A table with its schema comes in; a split name per row, unit numbers and sentences for the report go out. The dealing
itself is ``plait.data.dealing``; here stands what a run makes of it. ``known_split`` finds it again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.column_kind import Hints, kind_of
from plait.data.dealing import column_groups, deal_rows
from plait.data.schema import Schema
from plait.data.shared_content import most_shared, one_and_many
from plait.data.split import CALIBRATION, find_leakage, read_split
from plait.data.split_time import read_times
from plait.data.table import Table
from plait.data.values import ColumnReading, decimal_mark, read_number
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.tasks.labels import number


def read_targets(table: Table, column: str | None, task: Task) -> tuple[list[Any], set[int]]:
    """Plain target values of all rows, and positions of rows without a readable one; a task may need no target."""
    if not task.needs_target:
        return [0.0] * len(table), set()
    assert column is not None
    values = parse_targets(table.column(column), task, table.reading(column))
    return values, {i for i, v in enumerate(values) if v is None}


def parse_targets(cells: list[Any], task: Task, reading: ColumnReading | None) -> list[Any]:
    """Plain values of target cells; text is read as numbers with the decimal mark of the column as a whole."""
    if task.parse is not number or reading is None or reading.held != "text":
        return [task.parse(cell) for cell in cells]
    mark = decimal_mark(cells).mark
    return [None if mark is None else read_number(cell, mark) for cell in cells]


def make_split(
    table: Table, schema: Schema, usable: np.ndarray, values: list[Any], task: Task, seed: int,
    data: DataSettings | None = None, *, tie_content: bool = True,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Give every row a split; where the table's own lacks a part, set it aside from training.

    Args:
        table: The rows.
        schema: Its columns.
        usable: Positions of rows with a target.
        values: Plain target of every row.
        task: The task, which says of what every part holds its share.
        seed: As for :func:`plait.data.dealing.deal_rows`, like ``data`` and ``tie_content``.
        data: Data settings.
        tie_content: Whether rows that show one picture or sound stay on one side.
    """

    def strata(rows: np.ndarray) -> list[str] | None:
        return None if task.stratum is None else [task.stratum(values[int(i)]) for i in rows]

    return deal_rows(table, schema, usable, strata, seed, data, tie_content=tie_content)


def is_validation_apart(table: Table, schema: Schema, split: np.ndarray, data: DataSettings | None = None) -> bool:
    """Whether validation rows of a run's split were set apart on purpose: by the table's split column, or by time."""
    if data is not None and data.split_by_time is not None:
        return True
    if schema.split is None or schema.split not in table.column_names:
        return False
    own = np.asarray(read_split(table.column(schema.split)), dtype=object)
    return bool((own[split == "val"] == "val").all())


def rows_without_time(table: Table, data: DataSettings) -> dict[int, str]:
    """Positions of rows that cannot be split by time, and why; empty where rows are not split so."""
    if data.split_by_time is None:
        return {}
    return read_times(table, data.split_by_time, Hints(data.decimal, data.date_order)).faults


def count_splits(split: np.ndarray, usable: np.ndarray) -> dict[str, int]:
    """Usable rows of each split; calibration is named where there are any."""
    counts = {s: int((split[usable] == s).sum()) for s in ("train", "val", "test", CALIBRATION)}
    return {s: n for s, n in counts.items() if n or s != CALIBRATION}


def evaluation_units(prepared: Prepared, schema: Schema) -> np.ndarray:
    """A number per row of the table, equal for rows that an interval draws together.

    By the group column; without one, by the picture or sound shown, where several rows show one (of several such
    columns the first where that happens); else each row is alone. Reports, comparisons and explanations all draw these.
    """
    table = prepared.rows.table
    group_N = column_groups(table, schema)
    if group_N is not None:
        return group_N
    for items in prepared.rows.items.values():
        if kind_of(items.modality).watched is None:
            continue
        shown = items.index_N[items.index_N >= 0]
        if len(np.unique(shown)) < len(shown):
            alone = len(items.keys) + np.arange(len(table))
            return np.where(items.index_N >= 0, items.index_N, alone)
    return np.arange(len(table), dtype=np.int64)


def leakage_notes(prepared: Prepared, split: np.ndarray, usable: np.ndarray, own: str | None = None) -> list[str]:
    """A sentence per column whose content stands on both sides of the split.

    Args:
        prepared: All rows.
        split: "train", "val" or "test" for every row.
        usable: Positions of the rows that are used.
        own: The table's own split column; None where Plait dealt the rows, and did not keep rows together that share
            what very many rows hold.
    """
    content: dict[str, list[str | None]] = {}
    called: dict[str, tuple[str, str]] = {}
    for name, items in prepared.rows.items.items():
        watched = kind_of(items.modality).watched
        if watched is not None:
            called[name] = one_and_many(watched)
            content[name] = [items.keys[int(items.index_N[i])] if items.index_N[i] >= 0 else None for i in usable]
    found: dict[str, int] = {}
    common: dict[str, int] = {}
    for leak in find_leakage(split[usable], content):
        is_common = own is None and sum(map(len, leak.rows_by_split.values())) > most_shared(len(usable))
        count = common if is_common else found
        count[leak.column] = count.get(leak.column, 0) + 1
    advice = "" if own is None else (
        f"; the split column {own!r} says so: mark the rows that share one alike, or leave the column out "
        f"(ignore={own!r}), and rows that share one stay together"
    )  # fmt: skip
    return [
        f"LEAKAGE: {counted(count, called[name][0], f'different {called[name][1]}')} of column {name!r} "
        f"{'stands' if count == 1 else 'stand'} in more than one split, so the numbers are too good{advice}"
        for name, count in found.items()
    ] + [
        f"{counted(count, called[name][0], f'different {called[name][1]}')} of column {name!r} that did not tie rows "
        f"together {'stands' if count == 1 else 'stand'} in more than one split; where that is no placeholder, the "
        "numbers are too good: name the column that says which rows belong together (group=COLUMN)"
        for name, count in common.items()
    ]  # fmt: skip
