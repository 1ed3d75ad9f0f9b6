"""Which rows of a table train, validate, calibrate and test, as a run deals them: by its column, by time or at random.

A table with its schema comes in; a part per row and sentences for the report go out. What a fit makes of its table and
what ``plait check`` looks at are this one dealing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from plait.data.column_kind import Hints
from plait.data.schema import Schema
from plait.data.shared_content import SharedContent, shared_content
from plait.data.split import CALIBRATION, carve_calibration, carve_validation, read_split, split_rows
from plait.data.split_time import cuts_in_words, read_times, split_by_time
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings

Strata = Callable[[np.ndarray], list[Any] | None]  # of rows, by their positions: of what every part holds its share


def deal_rows(
    table: Table, schema: Schema, usable: np.ndarray, strata: Strata, seed: int, data: DataSettings | None = None, *,
    tie_content: bool = True,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Give every row a part; where the table's own split lacks one, set it aside from training.

    Rows that are split by time and have none get "". Calibration rows are those that the split column marks, else the
    share of the settings, whole groups out of the training rows.

    Args:
        table: The rows.
        schema: Its columns.
        usable: Positions of rows with a target.
        strata: Of some rows, what every part holds its share of; None: rows are dealt regardless of it.
        seed: The same seed gives the same split.
        data: Data settings, which say whether rows are split by time.
        tie_content: Whether rows that show one picture or sound stay on one side (``data.shared_content``), where rows
            are dealt here; False: as Plait dealt them before it did so.

    Raises:
        ValueError: No row trains, or all rows have one moment.
    """
    share, marked = 0.0 if data is None else data.calibration, _marked_calibration(table, schema, usable, data)
    rest = usable if marked is None else usable[~np.isin(usable, marked)]
    if len(rest) == 0:
        raise ValueError(f"all rows of {table.source} are marked calibration in the split column {schema.split!r}")
    split, notes = _without_calibration(table, schema, rest, strata, seed, data, tie_content)
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


def _without_calibration(
    table: Table, schema: Schema, usable: np.ndarray, strata: Strata, seed: int, data: DataSettings | None,
    tie_content: bool,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Train, val and test of these rows."""
    if data is not None and data.split_by_time is not None:
        return _by_time(table, schema, usable, strata, seed, data)
    target = strata(usable)
    group_N = column_groups(table, schema)
    chosen_group = None if group_N is None else group_N[usable].tolist()
    split = np.full(len(table), "", dtype=object)

    def shared(rows: np.ndarray) -> SharedContent:
        return shared_content(table, schema, rows) if tie_content else SharedContent({}, {}, {})

    if schema.split is None:
        tied = shared(usable)
        split[usable] = split_rows(
            len(usable), target=target, group=chosen_group, content=tied.chosen(usable), seed=seed
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
            len(usable), target=target, group=chosen_group, content=tied.chosen(usable), seed=seed
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
            split[usable], target=target, group=chosen_group, content=tied.chosen(usable), seed=seed
        )
        notes = notes or ["no val rows; one tenth of the training rows was set aside for choosing the epoch"]
        notes += tied.sentences()
    return split, notes


def _by_time(
    table: Table, schema: Schema, usable: np.ndarray, strata: Strata, seed: int, data: DataSettings
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
        dealt = carve_validation(dealt, target=strata(chosen), group=group, seed=seed)
        notes.append("there are two different times only, so validation rows were drawn from the earlier ones")
    split = np.full(len(table), "", dtype=object)
    split[chosen] = dealt
    return split, notes


def column_groups(table: Table, schema: Schema) -> np.ndarray | None:
    """A number per row, equal in a group of the group column; None without one. An empty cell is a group alone."""
    if schema.group is None or schema.group not in table.column_names:
        return None
    place: dict[Any, int] = {}
    names = [("alone", i) if is_empty_cell(c) else str(c) for i, c in enumerate(table.column(schema.group))]
    return np.array([place.setdefault(name, len(place)) for name in names], dtype=np.int64)


def is_empty_cell(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or a blank text."""
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())
    )
