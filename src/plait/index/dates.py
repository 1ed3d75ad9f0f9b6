"""Dates in filters: what text a date is, and how it is compared with columns of dates, timestamps, times and texts.

A date alone is its midnight. A text without a zone counts in the zone of the column, as the clock shows it there; a
text with a zone is a moment, and columns without one count as UTC. A column of texts is one of dates where every value
of it is an ISO date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_ISO = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_PART = re.compile(r"\d{4}(-\d\d)?")
EXPECTED = "write it as '2024-01-05' or '2024-01-05T12:30:00+01:00'"


def moment(text: str) -> datetime | None:
    """The date and time that an ISO text names, without a zone where it has none; None for any other text."""
    if not re.fullmatch(_ISO, text.strip()):
        return None
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:  # the 30th of February
        return None


def operands(column: Any, value: Any) -> tuple[Any, pa.Scalar]:
    """A column of dates, timestamps or times and a text, as two things that Arrow compares.

    Raises:
        TypeError: The value is no such text.
    """
    kind = column.type
    if pa.types.is_duration(kind) or not isinstance(value, str):
        raise TypeError(f"{value!r} is no date; {EXPECTED}")
    if pa.types.is_time(kind):
        return column, pa.scalar(_clock(value), pa.time64("us")).cast(kind)
    made = moment(value)
    if made is None:
        raise TypeError(f"{value!r} is no date; {EXPECTED}")
    if pa.types.is_date(kind):
        if len(value.strip()) == len("2024-01-05"):
            return column.cast(pa.date32()), pa.scalar(made.date(), pa.date32())
        column, kind = column.cast(pa.timestamp("us")), pa.timestamp("us")
    zone = kind.tz
    found = _scalar(made, zone)
    if kind.unit == "ns":
        try:
            return column, found.cast(kind)
        except pa.ArrowInvalid:  # beyond the years that nanoseconds reach
            return column.cast(pa.timestamp("us", zone), safe=False), found
    return column.cast(pa.timestamp("us", zone)), found


def _scalar(made: datetime, zone: str | None) -> pa.Scalar:
    if made.tzinfo is not None:
        made = made.astimezone(UTC).replace(tzinfo=None)
        return pa.scalar(made, pa.timestamp("us")).cast(pa.timestamp("us", zone))  # Arrow keeps moments in UTC
    found = pa.scalar(made, pa.timestamp("us"))
    return found if zone is None else pc.assume_timezone(found, zone, ambiguous="earliest", nonexistent="earliest")


def _clock(value: str) -> time:
    try:
        return time.fromisoformat(value.strip())
    except ValueError:
        raise TypeError(f"{value!r} is no time of day; write it as '12:30:00'") from None


def compare_texts(compare: Callable[[Any, Any], Any], column: Any, value: str) -> Any:
    """Whether texts come before or after a value: as dates where all are dates, else letter by letter.

    Raises:
        TypeError: All texts are dates, and the value is none.
    """
    texts = pc.unique(column).drop_null().to_pylist()
    moments = {text: moment(text) for text in texts} if texts and moment(texts[0]) is not None else {}
    if not moments or None in moments.values():
        return compare(column, pa.scalar(value, column.type))
    asked = moment(value)
    if asked is None:
        if _PART.fullmatch(value.strip()):  # a year or a month, whose letters come before those of its days
            return compare(column, pa.scalar(value, column.type))
        raise TypeError(f"{value!r} is no date; {EXPECTED}")
    known = {text: _seen_from(made, asked) for text, made in moments.items() if made is not None}
    asked = asked if asked.tzinfo is None else asked.astimezone(UTC).replace(tzinfo=None)
    made = pa.array([None if text is None else known[text] for text in column.to_pylist()], pa.timestamp("us"))
    return compare(made, pa.scalar(asked, pa.timestamp("us")))


def _seen_from(made: datetime, asked: datetime) -> datetime:
    """A moment without its zone: as the clock shows it, or in UTC where the value it is compared with has a zone."""
    if asked.tzinfo is not None and made.tzinfo is not None:
        made = made.astimezone(UTC)
    return made.replace(tzinfo=None)


def sql_literal(kind: pa.DataType, value: str) -> str:
    """A text as the SQL literal to compare a column of dates or timestamps with.

    Raises:
        TypeError: The text is no date.
    """
    made = moment(value)
    if made is None:
        raise TypeError(f"{value!r} is no date; {EXPECTED}")
    if pa.types.is_date(kind) and len(value.strip()) == len("2024-01-05"):
        return f"date '{made:%Y-%m-%d}'"
    zone = None if pa.types.is_date(kind) else kind.tz
    if made.tzinfo is not None:  # SQL takes timestamps as the clock of the column's zone shows them
        found = _scalar(made, zone)
        made = (found if zone is None else pc.local_timestamp(found)).as_py()
    return f"timestamp '{made.isoformat(sep=' ', timespec='microseconds')}'"
