"""A date as numbers: what a small network can learn from it.

The year, the day of the month and the age in days count on. Month, weekday, day of the year and time of day come round
again, so each is a point on a circle (sine and cosine): 31 December lies beside 1 January. Parts that do not vary in
the training rows are left out: dates without a time have no time of day. All are standardised with mean and standard
deviation of the training rows; the age counts from their latest moment, so later rows lie above zero.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plait.data.dates import in_zone
from plait.data.moments import Moment, date_order_of, read_moment
from plait.data.values import ColumnReading, is_missing_number

Clock = datetime.datetime


def _turn(share: float) -> tuple[float, float]:
    return math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)


def _share_of_year(at: Clock) -> float:
    days = 366 if at.year % 4 == 0 and (at.year % 100 != 0 or at.year % 400 == 0) else 365
    return (at.timetuple().tm_yday - 1) / days


CIRCLES: dict[str, Callable[[Clock], float]] = {
    "month": lambda at: (at.month - 1) / 12,
    "weekday": lambda at: at.weekday() / 7,
    "day_of_year": _share_of_year,
    "time_of_day": lambda at: (at.hour * 3600 + at.minute * 60 + at.second) / 86400,
}
COUNTS: dict[str, Callable[[Clock, Clock], float]] = {
    "year": lambda at, latest: float(at.year),
    "day": lambda at, latest: float(at.day),
    "age": lambda at, latest: (at - latest).total_seconds() / 86400,
}
PART_NAMES = (*COUNTS, *(f"{circle}_{axis}" for circle in CIRCLES for axis in ("sin", "cos")))


class DateParts:
    """How a column of dates is read, and what its parts are; make one with ``fit``.

    Attributes:
        reading: How its cells are read.
        is_time_only: It holds times of day without dates; None where that is not known yet.
        latest: The latest moment of the training rows.
        parts: Mean and standard deviation of each part, by name.

    Example:
        >>> parts = DateParts.fit(["2024-01-01", "2024-12-31", None], None)
        >>> "time_of_day_sin" in parts.parts, "age" in parts.parts
        (False, True)
    """

    def __init__(
        self, reading: ColumnReading, is_time_only: bool | None, latest: Clock, parts: dict[str, tuple[float, float]]
    ) -> None:
        self.reading, self.is_time_only, self.latest, self.parts = reading, is_time_only, latest, dict(parts)

    @classmethod
    def of(cls, reading: ColumnReading) -> DateParts:
        """Without parts, to read cells with."""
        return cls(reading, None, Clock(1970, 1, 1), {})

    @classmethod
    def fit(cls, cells: Sequence[Any], reading: ColumnReading | None) -> DateParts:
        """Learn which parts vary, and their mean and standard deviation, from the cells of the training rows."""
        made = cls.of(reading or ColumnReading("text"))
        moments = [moment for moment in made.read(cells)[0] if moment is not None]
        made.latest = max(moments, default=made.latest)
        times = [m.is_time_only for c in cells if (m := read_moment(c, made.reading.order)) is not None]
        made.is_time_only = bool(times) and sum(times) * 2 > len(times)
        values = _all_parts(moments, made.latest)
        for place, name in enumerate(PART_NAMES):
            column = values[:, place]
            std = float(column.std()) if len(column) else 0.0
            if std > 1e-9:
                made.parts[name] = float(column.mean()), std
        if not made.parts:  # one day in every row, or none
            made.parts["age"] = 0.0, 1.0
        return made

    def read(self, cells: Sequence[Any]) -> tuple[list[Clock | None], list[tuple[int, str]]]:
        """Cells as moments on the column's clock, None where missing; and the cells that are neither, with reasons."""
        moments: list[Clock | None] = [None] * len(cells)
        odd = []
        for place, cell in enumerate(cells):
            if is_missing_number(cell, self.reading.missing):
                continue
            moment = read_moment(cell, self.reading.order)
            reason = self._fault(cell, moment)
            if reason is None and moment is not None:
                moments[place] = in_zone(moment, self.reading.zone)
            else:
                odd.append((place, f"{str(cell)[:60]!r} {reason}"))
        return moments, odd

    def numbers(self, moments: Sequence[Clock]) -> np.ndarray:
        """The standardised parts of moments [N, P]."""
        values = _all_parts(moments, self.latest)
        chosen = [PART_NAMES.index(name) for name in self.parts]
        mean, std = np.array(list(self.parts.values())).T
        return (values[:, chosen] - mean) / std

    def _fault(self, cell: Any, moment: Moment | None) -> str | None:
        """Why a cell is no moment of this column; None where it is one."""
        if moment is None:
            if date_order_of(cell) == "open":
                return "is day or month first, and the training table does not say which"
            return "is no date"
        if self.is_time_only is not None and moment.is_time_only is not self.is_time_only:
            return "is a time without a date" if moment.is_time_only else "is a date, where training had times only"
        if moment.is_time_only:
            return None
        if moment.offset is not None and not self.reading.zone:
            return "has a time zone, which the other dates have not"
        if moment.offset is None and self.reading.zone:
            return f"has no time zone, which the other dates have ({self.reading.zone})"
        return None

    def to_json(self) -> dict[str, Any]:
        """What was learned, as JSON values."""
        how = {k: v for k in ("order", "zone") if (v := getattr(self.reading, k))}
        return {
            **how,
            **({"missing": list(self.reading.missing)} if self.reading.missing else {}),
            "time_only": bool(self.is_time_only),
            "latest": self.latest.isoformat(),
            "parts": [{"name": n, "mean": mean, "spread": std} for n, (mean, std) in self.parts.items()],
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> DateParts:
        """From ``to_json``."""
        reading = ColumnReading(
            "text", missing=tuple(entry.get("missing", ())), order=entry.get("order", ""), zone=entry.get("zone", "")
        )
        parts = {p["name"]: (float(p["mean"]), float(p["spread"])) for p in entry["parts"]}
        return cls(reading, bool(entry["time_only"]), Clock.fromisoformat(entry["latest"]), parts)


def _all_parts(moments: Sequence[Clock], latest: Clock) -> np.ndarray:
    """Every part of every moment, in the order of ``PART_NAMES`` [N, P]."""
    made = np.zeros((len(moments), len(PART_NAMES)))
    for row, at in enumerate(moments):
        counts = [count(at, latest) for count in COUNTS.values()]
        made[row] = [*counts, *(axis for circle in CIRCLES.values() for axis in _turn(circle(at)))]
    return made
