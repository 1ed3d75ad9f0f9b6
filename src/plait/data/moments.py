"""A cell as a moment: a date, a time of day or both, from text in the usual spellings or from types of dates.

What leaves no doubt is read as it stands: year first (``2024-03-05``, ``2024/3/5 14:30``, ``2024-03-05T14:30:00Z``),
months by name (``5 March 2024``, ``Mar 5, 2024``), ``2024年3月5日``, and times alone (``14:30``). Three numbers with
the year last (``05/03/2024``) are day first or month first; a number above 12 says which, and with points between them
(``05.03.2024``) the day is first. Two-digit years, Excel's day numbers and seconds since 1970 are not read.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

TIME_ONLY_DAY = datetime.date(1970, 1, 1)  # on which times without a date are laid
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?(?:\s*(?P<half>[ap]\.?m\.?))?"
)
_ZONE = r"(?:\s*(?P<zone>z|utc|gmt|[+\-\u2212]\d{2}:?(?:\d{2})?))?"
_TIME = rf"(?:(?:[t\s]|,\s*|\s+at\s+)\s*{_CLOCK}{_ZONE})?"
_EAST_TIME = (
    r"(?:\s*(?P<hour>\d{1,2})[\u65f6\u6642\uc2dc:]\s*(?P<minute>\d{1,2})[\u5206\ubd84]?"
    r"(?::?\s*(?P<second>\d{1,2})[\u79d2\ucd08]?)?)?"
)
_EAST_DAY = r"(?:\s*(?P<day>\d{1,2})\s*[\u65e5\u53f7\uc77c])?"
_COMPACT_TIME = rf"(?:t(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?{_ZONE})?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?P<year>\d{{4}})(?P<s>[-/.])(?P<month>\d{{1,2}})(?P=s)(?P<day>\d{{1,2}}){_TIME}",
        r"(?P<year>(?:1[5-9]|2[01])\d\d)[-/](?P<month>\d{1,2})",
        rf"(?P<year>(?:1[89]|20|21)\d\d)(?P<month>\d\d)(?P<day>\d\d){_COMPACT_TIME}",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s\-/.]*{_MONTH}[\s\-/,]*(?P<year>\d{{4}}){_TIME}",
        rf"{_WEEKDAY}{_MONTH}[\s\-]*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<year>\d{{4}}){_TIME}",
        r"(?P<year>\d{4})\s*[\u5e74\ub144]\s*(?P<month>\d{1,2})\s*[\u6708\uc6d4]" + _EAST_DAY + _EAST_TIME,
        rf"{_CLOCK}{_ZONE}",
    )
)
_YEAR_LAST = re.compile(
    rf"(?P<one>\d{{1,2}})(?P<s>[-/.])(?P<two>\d{{1,2}})(?P=s)(?P<year>\d{{4}}){_TIME}", re.IGNORECASE
)
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}(?:\s.*)?")
_COMPACT = re.compile(r"(?:1[89]|20|21)\d{6}")


@dataclass(frozen=True)
class Moment:
    """A cell read as a date or time.

    Attributes:
        at: Date and time as the cell's own clock shows them.
        offset: Minutes east of UTC; None where the cell names no zone.
        is_time_only: It is a time of day without a date.
    """

    at: datetime.datetime
    offset: int | None = None
    is_time_only: bool = False


def read_moment(cell: Any, order: str = "") -> Moment | None:
    """A cell as a moment; None where it is none, or where it is day or month first and ``order`` does not say which.

    Args:
        cell: Text, a date, a time, or a whole number such as 20240305 or 2024.
        order: "dmy" or "mdy" for dates with the year last.
    """
    if isinstance(cell, datetime.datetime):
        offset = cell.utcoffset()
        bare = cell.replace(tzinfo=None, fold=0)
        return Moment(bare, None if offset is None else round(offset.total_seconds() / 60))
    if isinstance(cell, datetime.date):
        return Moment(datetime.datetime.combine(cell, datetime.time()))
    if isinstance(cell, datetime.time):
        return Moment(datetime.datetime.combine(TIME_ONLY_DAY, cell.replace(tzinfo=None)), None, True)
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    if isinstance(cell, float):
        if not cell.is_integer():
            return None
        cell = int(cell)
    return _read_text(str(cell).strip(), order)


def is_short_year(cell: Any) -> bool:
    """Whether a text reads like a date with a year of two digits."""
    return isinstance(cell, str) and _SHORT_YEAR.fullmatch(cell.strip()) is not None


def looks_like_date(cell: Any) -> bool:
    """Whether a text reads like a date or a time, in whatever order of day and month."""
    return isinstance(cell, str) and read_moment(cell, "dmy" if date_order_of(cell) == "open" else "") is not None


def is_compact_date(value: int) -> bool:
    """Whether a whole number reads like a date without marks, 20240305."""
    return _COMPACT.fullmatch(str(value)) is not None and read_moment(value) is not None


@lru_cache(maxsize=65536)
def _read_text(text: str, order: str) -> Moment | None:
    if text[4:5] == text[7:8] == "-" and text.isascii():
        try:
            return read_moment(datetime.datetime.fromisoformat(text))  # the common case, a fifth of the time
        except ValueError:
            pass  # such as 2024-03-05 2:30 pm
    parts = _YEAR_LAST.fullmatch(text)
    if parts is not None:
        order = order or date_order_of(text)
        if order == "open":
            return None
        day, month = (parts["two"], parts["one"]) if order == "mdy" else (parts["one"], parts["two"])
        return _moment(parts.groupdict() | {"day": day, "month": month})
    if re.fullmatch(r"(?:1[89]|20|21)\d\d", text):
        return _moment({"year": text})
    for form in _FORMS:
        parts = form.fullmatch(text)
        if parts is not None:
            return _moment(parts.groupdict())
    return None


def _moment(parts: dict[str, str | None]) -> Moment | None:
    """A moment of its parts as text; None where there is no such day or hour."""
    name = parts.get("name")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(parts.get("month") or 1)
    hour = int(parts.get("hour") or 0)
    half = (parts.get("half") or "")[:1].lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    micro = int((parts.get("part") or "0").ljust(6, "0")[:6])
    has_date = parts.get("year") is not None
    try:
        day = datetime.date(int(parts["year"] or 0), month, int(parts.get("day") or 1)) if has_date else TIME_ONLY_DAY
        second = int(parts.get("second") or 0)
        clock = datetime.time(hour, int(parts.get("minute") or 0), 59 if second == 60 else second, micro)
    except ValueError:
        return None
    return Moment(datetime.datetime.combine(day, clock), offset_minutes(parts.get("zone")), not has_date)


def offset_minutes(zone: str | None) -> int | None:
    """Minutes east of UTC of a zone such as ``Z`` or ``+02:00``; None for none."""
    if not zone:
        return None
    if zone.isalpha():
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return minutes if zone[0] == "+" else -minutes


def date_order_of(cell: Any) -> str:
    """Which of day and month stands first in a date with the year last: "dmy", "mdy", "open", or "" for all others."""
    parts = _YEAR_LAST.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if parts is None:
        return ""
    one, two = int(parts["one"]), int(parts["two"])
    if one > 12 and two > 12:
        return ""
    if one > 12 or two > 12:
        return "dmy" if one > 12 else "mdy"
    return "" if one == two else "likely" if parts["s"] == "." else "open"
