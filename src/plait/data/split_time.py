"""Rows split by time: the earliest train, the next validate (and calibrate), the latest test, as a model meets them.

In: a moment or number a row. Out: a part a row. Rows of one moment are never parted, and rows of one group stand where
their latest row does, so that no training row is later than the cut.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.data.arrow_types import is_date, is_number, is_text
from plait.data.column_kind import Hints
from plait.data.dates import date_cells, in_zone
from plait.data.moments import read_moment
from plait.data.nearly_numeric import number_cells
from plait.data.reads_like import reads_like
from plait.data.schema import Schema
from plait.data.split import CALIBRATION, Labels
from plait.data.table import Table
from plait.data.values import date_text, is_missing_number, read_number
from plait.registry import counted
from plait.settings import DataSettings

FRACTIONS = (0.8, 0.1, 0.1)
ORDER = ("train", "val", CALIBRATION, "test")


@dataclass(frozen=True)
class Times:
    """The moments of a table's rows.

    Attributes:
        at: A comparable moment or number of each row; None where there is none.
        faults: By position of the rows without one: why.
    """

    at: list[Any]
    faults: dict[int, str]


def without_split(schema: Schema, data: DataSettings) -> Schema:
    """The schema without a split column that was only guessed, where rows are split by time.

    Raises:
        ValueError: Both ways to split were asked for, or there is no such column.
    """
    if data.split_by_time is None:
        return schema
    schema.column(data.split_by_time)
    if data.split is not None:
        raise ValueError(
            f"rows are split by the column {data.split!r} or by time ({data.split_by_time!r}), not by both; leave "
            "split= or split_by_time= out"
        )
    why = f"rows are split by time ({data.split_by_time})"
    return Schema(tuple(replace(c, role="ignored", reason=why) if c.role == "split" else c for c in schema.columns))


def read_times(table: Table, name: str, hints: Hints) -> Times:
    """Read the column by which rows are split.

    Raises:
        ValueError: It holds neither dates nor numbers, or could be read in two ways.
    """
    cells, held = table.column(name), table.arrow.schema.field(name).type
    like = reads_like(table, name, [c for c in cells if c is not None][:1000], hints) if is_text(held) else None
    expected = f"column {name!r} cannot split the rows by time: expected dates or numbers"
    if like is not None and like.kind is None:
        raise ValueError(f"{table.source}: {expected}; it {like.reason}")
    if is_date(held) or (like is not None and like.kind == "date"):
        found = date_cells(cells, hints.date_order)
        zone, odd = table_zone(table, name) or found.zone, set(found.odd)
        empty = {i for i, c in enumerate(cells) if is_missing_number(c)} | set(found.marked)
        at: list[Any] = [None] * len(cells)
        for i, cell in enumerate(cells):
            moment = None if i in odd or i in empty else read_moment(cell, found.order)
            at[i] = None if moment is None else in_zone(moment, zone)
    elif is_number(held) or (like is not None and like.kind == "numeric"):
        numbers = number_cells(cells, hints.decimal)
        empty = {i for i, c in enumerate(cells) if is_missing_number(c)} | set(numbers.marked)
        at = [None if i in empty else read_number(c, numbers.mark or ".") for i, c in enumerate(cells)]
    else:
        raise ValueError(f"{table.source}: {expected}, it holds {held} such as {cells[0]!r}")
    faults = {
        i: "no date or number to split by" if i in empty else f"{str(cells[i])[:60]!r} is no date or number to split by"
        for i, moment in enumerate(at)
        if moment is None
    }
    return Times(at, faults)


def table_zone(table: Table, name: str) -> str:
    """The time zone of a column of date types; "" where it has none."""
    reading = table.reading(name)
    return reading.zone if reading is not None else ""


def split_by_time(times: Sequence[Any], *, group: Sequence[Any] | None = None, calibration: float = 0.0) -> Labels:
    """Deal rows out by their moment: 80 % train, 10 % val, 10 % test, as nearly as equal moments allow.

    Args:
        times: A moment or number of each row, none missing.
        group: Rows with an equal value stay together, in the part of their latest row; None ties a row to nobody.
        calibration: Share of the rows just before the test rows that calibrates; training has so many fewer.

    Returns:
        "train", "val", "calibration" or "test" a row [n]; no "val" where there are two different moments only.

    Raises:
        ValueError: All rows have one moment, or hang together with it; or fewer than four moments for four parts.

    Example:
        >>> split_by_time([3, 1, 2, 1, 9, 8, 7, 6, 5, 4]).tolist()[:5]
        ['train', 'train', 'train', 'train', 'test']
    """
    keys = list(times)
    if group is not None:
        latest: dict[Any, Any] = {}
        for name, at in zip(group, times, strict=True):
            if name is not None:
                latest[name] = max(latest.get(name, at), at)
        keys = [at if name is None else latest[name] for name, at in zip(group, times, strict=True)]
    moments = sorted(set(keys))
    if len(moments) < 2:
        tied = " once rows of one group are kept together" if group is not None else ""
        raise ValueError(f"all rows have the same moment{tied}; they cannot be split by time")
    place = {at: number for number, at in enumerate(moments)}
    number_N = np.array([place[at] for at in keys])
    ends = np.cumsum(np.bincount(number_N))  # rows up to each moment
    if calibration > 0 and len(moments) < 4:
        raise ValueError(
            f"rows of {counted(len(moments), 'moment')} cannot be split by time into four parts; leave calibration= out"
        )
    first, second, third = 1, 1, 1
    if len(moments) > 2:
        later = 1 if calibration > 0 else 0
        first = 1 + _nearest(ends[: -2 - later], (FRACTIONS[0] - calibration) * len(keys))
        upper = (FRACTIONS[0] + FRACTIONS[1] - calibration) * len(keys)
        second = 1 + first + _nearest(ends[first : -1 - later], upper)
        third = 1 + second + _nearest(ends[second:-1], (1 - FRACTIONS[2]) * len(keys)) if later else second
    part_N = (number_N >= first).astype(np.int64) + (number_N >= second) + (number_N >= third)
    return np.array(ORDER, dtype="<U11")[part_N]


def cuts_in_words(times: Sequence[Any], split: Labels) -> str:
    """From when to when each part reaches."""
    parts = []
    for name in ORDER:
        own = [at for at, part in zip(times, split, strict=True) if part == name]
        if own:
            parts.append(f"{name} from {_shown(min(own))} to {_shown(max(own))} ({counted(len(own), 'row')})")
    return ", ".join(parts)


def _nearest(ends: np.ndarray, wanted: float) -> int:
    return int(np.argmin(np.abs(ends - wanted)))


def _shown(at: Any) -> str:
    return date_text(at) if isinstance(at, datetime.date) else f"{at:g}"
