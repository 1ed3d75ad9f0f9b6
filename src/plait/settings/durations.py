"""Lengths of time as they are typed: "90s", "10m", "1.5h", or a number of seconds."""

from __future__ import annotations

import math
import re

SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
TYPED = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([smh]?)\s*", re.IGNORECASE)


def seconds_of(given: str | float, name: str) -> float:
    """Seconds of a length of time.

    Args:
        given: A number with s, m or h behind it, or seconds.
        name: What it is called, for the message.

    Raises:
        ValueError: Not a length of time, or not above 0.

    Example:
        >>> seconds_of("10m", "time_limit"), seconds_of(90, "time_limit")
        (600.0, 90.0)
    """
    found = TYPED.fullmatch(given) if isinstance(given, str) else None
    if found:
        seconds = float(found[1]) * SECONDS[found[2].lower()]
    elif isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    else:
        seconds = math.nan
    if not (0 < seconds < math.inf):
        raise ValueError(
            f"{name} must be a length of time above 0, such as {name}=90s, {name}=10m or {name}=2h (a number alone is "
            f"seconds), got {given!r}"
        )
    return seconds


def spoken(seconds: float) -> str:
    """Seconds as one reads them.

    Example:
        >>> spoken(8.26), spoken(75), spoken(5400)
        ('8.3 s', '75 s', '90 min')
    """
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"
