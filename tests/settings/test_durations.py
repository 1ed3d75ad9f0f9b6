"""Lengths of time as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from plait.settings import RunSettings, from_dict
from plait.settings.durations import seconds_of, spoken


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5h", 5400), (" 3 M ", 180), ("45", 45), (45, 45), (0.5, 0.5)],
)
def test_units(given: Any, seconds: float) -> None:
    assert seconds_of(given, "time_limit") == seconds


@pytest.mark.parametrize("given", ["ten", "10d", "", "-5m", "0s", 0, -1, float("nan"), float("inf"), True, "1h30"])
def test_what_is_no_length_of_time_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"time_limit must be a length of time above 0, such as time_limit=90s"):
        seconds_of(given, "time_limit")


def test_as_one_reads_them() -> None:
    assert [spoken(s) for s in (8.26, 75.4, 5400)] == ["8.3 s", "75 s", "90 min"]


def test_a_limit_in_settings_is_above_zero() -> None:
    with pytest.raises(ValueError, match="time_limit must be above 0, got -1"):
        from_dict(RunSettings, {"time_limit": -1.0})
