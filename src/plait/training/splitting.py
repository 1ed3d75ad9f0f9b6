"""Which rows of a run train, validate, calibrate and test, and which are drawn together.

A table with its schema comes in; a split name per row, unit numbers and sentences for the report go out. The dealing
itself is ``plait.data.split``; here stands what a run makes of it. ``known_split`` finds it again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from plait.data.column_kind import Hints, kind_of
from plait.data.schema import Schema
from plait.data.shared_content import SharedContent, most_shared, one_and_many, shared_content
from plait.data.split import CALIBRATION, carve_calibration, carve_validation, find_leakage, read_split, split_rows
from plait.data.split_time import cuts_in_words, read_times, split_by_time
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

    Rows that are split by time and have none get "". Calibration rows are those that the split column marks, else the
    share of the settings, whole groups out of the training rows.

    Args:
        table: The rows.
        schema: Its columns.
        usable: Positions of rows with a target.
        values: Plain target of every row.
        task: The task.
        seed: The same seed gives the same split.
        data: Data settings, which say whether rows are split by time.
        tie_content: Whether rows that show one picture or sound stay on one side (``data.shared_content``), where rows
            are dealt here; False: as Plait dealt them before it did so.
    """
    share, marked = 0.0 if data is None else data.calibration, _marked_calibration(table, schema, usable, data)
    rest = usable if marked is None else usable[~np.isin(usable, marked)]
    if len(rest) == 0:
        raise ValueError(f"all rows of {table.source} are marked calibration in the split column {schema.split!r}")
    split, notes = _split_without_calibration(table, schema, rest, values, task, seed, data, tie_content)
    if marked is not None:
        split[marked] = CALIBRATION
        return split, [*notes, f"{counted(len(marked), 'row is', 'rows are')} marked calibration and trained nothing"]
    if share > 0 and CALIBRATION not in set(split):
        chosen = rest[split[rest] != ""]
        group_N = column_groups(table, schema)
        group = None if group_N is None else group_N[chosen].tolist()
        split[chosen] = carve_calibration(
            [str(s) for s in split[chosen]], group=group, fraction=share, seed=seed,
            content=shared_content(table, schema, chosen).chosen(chosen) if tie_content else None,
        )  # fmt: skip
        kept = int((split[chosen] == CALIBRATION).sum())
        notes.append(
            f"{counted(kept, 'row was', 'rows were')} set aside from train for calibration and trained nothing"
        )
    return split, notes


def _marked_calibration(
    table: Table, schema: Schema, usable: np.ndarray, data: DataSettings | None
) -> np.ndarray | None:
    """Usable rows that the split column marks for calibration; None where it marks none or time splits."""
    if schema.split is None or (data is not None and data.split_by_time is not None):
        return None
    own = np.asarray(read_split(table.column(schema.split)), dtype=object)
    marked = usable[own[usable] == CALIBRATION]
    return marked if len(marked) else None


def _split_without_calibration(
    table: Table, schema: Schema, usable: np.ndarray, values: list[Any], task: Task, seed: int,
    data: DataSettings | None, tie_content: bool,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Train, val and test of these rows."""
    if data is not None and data.split_by_time is not None:
        return _split_by_time(table, schema, usable, values, task, seed, data)
    strata = None if task.stratum is None else [task.stratum(values[int(i)]) for i in usable]
    group_N = column_groups(table, schema)
    chosen_group = None if group_N is None else group_N[usable].tolist()
    split = np.full(len(table), "", dtype=object)

    def shared(rows: np.ndarray) -> SharedContent:
        return shared_content(table, schema, rows) if tie_content else SharedContent({}, {}, {})

    if schema.split is None:
        tied = shared(usable)
        split[usable] = split_rows(
            len(usable), target=strata, group=chosen_group, content=tied.chosen(usable), seed=seed
        )
        return split, ["rows were split at random into train, val and test (80/10/10)", *tied.sentences()]
    own = np.asarray(read_split(table.column(schema.split)), dtype=object)
    split[usable] = own[usable]
    present = set(split[usable])
    if "train" not in present:
        raise ValueError(f"no row of {table.source} is marked train in the split column {schema.split!r}")
    if present == {"train"}:
        tied = shared(usable)
        split[usable] = split_rows(
            len(usable), target=strata, group=chosen_group, content=tied.chosen(usable), seed=seed
        )
        return split, [
            f"the split column {schema.split!r} marks train rows only; val and test rows were set aside from them "
            "(80/10/10)",
            *tied.sentences(),
        ]
    notes = []
    if "test" not in present and "val" in present and (data is None or data.test):
        split[split == "val"] = "test"
        notes.append("the val rows are judged as the held-out part; validation rows were set aside from train")
    if "val" not in set(split[usable]):
        tied = shared(usable[split[usable] == "train"])
        split[usable] = carve_validation(
            split[usable], target=strata, group=chosen_group, content=tied.chosen(usable), seed=seed
        )
        notes = notes or ["no val rows; one tenth of the training rows was set aside for choosing the epoch"]
        notes += tied.sentences()
    return split, notes


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


def _split_by_time(
    table: Table, schema: Schema, usable: np.ndarray, values: list[Any], task: Task, seed: int, data: DataSettings
) -> tuple[np.ndarray, list[str]]:
    assert data.split_by_time is not None
    times = read_times(table, data.split_by_time, Hints(data.decimal, data.date_order))
    chosen = np.array([i for i in usable if int(i) not in times.faults], dtype=np.int64)
    if len(chosen) == 0:
        raise ValueError(f"no row of {table.source} has a target and a date or number in {data.split_by_time!r}")
    at = [times.at[int(i)] for i in chosen]
    group_N = column_groups(table, schema)
    group = None if group_N is None else group_N[chosen].tolist()
    dealt = split_by_time(at, group=group, calibration=data.calibration)
    tied = f"; rows of one {schema.group!r} stand where their latest row does" if group is not None else ""
    notes = [f"rows were split by time, by column {data.split_by_time!r}: {cuts_in_words(at, dealt)}{tied}"]
    if "val" not in set(dealt):
        strata = None if task.stratum is None else [task.stratum(values[int(i)]) for i in chosen]
        dealt = carve_validation(dealt, target=strata, group=group, seed=seed)
        notes.append("there are two different times only, so validation rows were drawn from the earlier ones")
    split = np.full(len(table), "", dtype=object)
    split[chosen] = dealt
    return split, notes


def count_splits(split: np.ndarray, usable: np.ndarray) -> dict[str, int]:
    """Usable rows of each split; calibration is named where there are any."""
    counts = {s: int((split[usable] == s).sum()) for s in ("train", "val", "test", CALIBRATION)}
    return {s: n for s, n in counts.items() if n or s != CALIBRATION}


def column_groups(table: Table, schema: Schema) -> np.ndarray | None:
    """A number per row, equal in a group of the group column; None without one. An empty cell is a group alone."""
    if schema.group is None or schema.group not in table.column_names:
        return None
    place: dict[Any, int] = {}
    names = [("alone", i) if is_empty_cell(c) else str(c) for i, c in enumerate(table.column(schema.group))]
    return np.array([place.setdefault(name, len(place)) for name in names], dtype=np.int64)


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


def is_empty_cell(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or a blank text."""
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())
    )
