"""Columns of dates as wholes: in which order day and month stand, in which zone they are told, which cells are none.

A column tells day first from month first by a cell with a number above 12 in one of the two places. One that leaves it
open is not read as dates, and neither is one that says both. Nothing here reads a file.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from plait.data.moments import Moment, date_order_of, offset_minutes, read_moment
from plait.data.nearly_numeric import MISSING_MARKS
from plait.data.read_cells import ReadCells
from plait.data.values import DATE_ORDERS, is_missing_number

_ZERO_DATES = frozenset({"0000-00-00", "0000-00-00 00:00:00", "00/00/0000"})


@dataclass(frozen=True)
class DateCells(ReadCells):
    """A column read as dates.

    Attributes:
        order: "dmy", "mdy" or "" (no cell asks).
        zone: The zone in which its moments are told; "" where its cells name none.
    """

    order: str
    zone: str


def date_cells(cells: Sequence[Any], order: str | None = None, row_number: Callable[[int], int] = int) -> DateCells:
    """Read the cells of a column as dates.

    Args:
        cells: Text, whole numbers such as 20240305, or values of date types.
        order: "dmy" or "mdy" where the cells leave it open.
        row_number: From a position to the number of its row, for the reason.

    Example:
        >>> date_cells(["05/03/2024", "25/03/2024"]).order, date_cells(["05/03/2024"]).reason
        ('dmy', "row 0 holds '05/03/2024', which is 5 March or 3 May; say which with date_order='dmy' or \
date_order='mdy'")
    """
    odd, marked = [], []
    first_large: dict[str, int] = {}
    open_cell: int | None = None
    offsets: dict[int | None, int] = {}
    times = 0
    filled = 0
    for place, cell in enumerate(cells):
        if is_missing_number(cell):
            continue
        word = cell.strip().lower() if isinstance(cell, str) else ""
        if word in MISSING_MARKS or word in _ZERO_DATES:
            marked.append(place)
            continue
        filled += 1
        asks = date_order_of(cell)
        if asks == "open":
            open_cell = place if open_cell is None else open_cell
        elif asks in DATE_ORDERS:
            first_large.setdefault(asks, place)
        moment = read_moment(cell, "dmy" if asks == "open" else "")
        if moment is None:
            odd.append(place)
        else:
            times += moment.is_time_only
            offsets[moment.offset] = offsets.get(moment.offset, 0) + 1
    missing = tuple(sorted({str(cells[i]).strip().lower() for i in marked}))
    reason = _contradiction(cells, first_large, open_cell, order, row_number)
    known = next(iter(first_large), "") or (order or "" if open_cell is not None else "")
    if reason is None and 0 < times < filled - len(odd):
        reason = "some cells are times of day, others are dates"
    zone, strangers = _zone_of(cells, offsets, known)
    odd = sorted({*odd, *strangers})
    return DateCells(reason, filled, tuple(odd), missing, tuple(marked), order=known, zone=zone)


def in_zone(moment: Moment, zone: str) -> datetime.datetime | None:
    """The moment on the clock of a column's zone; None where the cell has a zone and the column none.

    A cell without a zone is on the column's clock already.
    """
    if moment.offset is None:
        return moment.at
    if not zone:
        return None
    aware = moment.at.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=moment.offset)))
    try:
        return aware.astimezone(_zone(zone)).replace(tzinfo=None, fold=0)
    except OverflowError:
        return moment.at


def _contradiction(
    cells: Sequence[Any], first_large: dict[str, int], open_cell: int | None, order: str | None,
    row_number: Callable[[int], int],
) -> str | None:  # fmt: skip
    """Why the order of day and month cannot be told; None where it can."""
    if len(first_large) > 1:
        one, two = first_large["dmy"], first_large["mdy"]
        return (
            f"row {row_number(one)} holds {cells[one].strip()!r} and row {row_number(two)} holds "
            f"{cells[two].strip()!r}: day first and month first in one column; write all of them in one way, such as "
            "2024-03-05"
        )
    if open_cell is None or first_large or order:
        return None
    text = cells[open_cell].strip()
    made = [read_moment(text, way) for way in ("dmy", "mdy")]
    assert made[0] is not None and made[1] is not None
    which = " or ".join(f"{m.at.day} {calendar.month_name[m.at.month]}" for m in made if m is not None)
    return (
        f"row {row_number(open_cell)} holds {text!r}, which is {which}; say which with date_order='dmy' or "
        "date_order='mdy'"
    )


def _zone_of(cells: Sequence[Any], offsets: dict[int | None, int], order: str) -> tuple[str, list[int]]:
    """The zone of a column: that of all cells, UTC where they differ, "" where most have none; and cells that differ
    from the others in having one or none.
    """
    named = {offset: count for offset, count in offsets.items() if offset is not None}
    if not named:
        return "", []
    aware = sum(named.values()) >= offsets.get(None, 0)
    strangers = []
    if len(offsets) > len(named) or not aware:
        for place, cell in enumerate(cells):
            moment = read_moment(cell, order) if not is_missing_number(cell) else None
            if moment is not None and (moment.offset is not None) is not aware:
                strangers.append(place)
    if not aware:
        return "", strangers
    return (_zone_name(next(iter(named))) if len(named) == 1 else "UTC"), strangers


def _zone_name(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return "UTC" if minutes == 0 else f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@lru_cache(maxsize=64)
def _zone(name: str) -> datetime.tzinfo:
    if name == "UTC":
        return datetime.UTC
    if name[:1] in "+-":
        return datetime.timezone(datetime.timedelta(minutes=offset_minutes(name) or 0))
    return ZoneInfo(name)
