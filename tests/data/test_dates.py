"""Dates in every usual spelling, and what is refused because it could be two days."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from plait.data.column_kind import Hints
from plait.data.dates import date_cells, in_zone
from plait.data.moments import read_moment
from plait.data.schema import Schema, guess_schema, guess_task
from plait.data.table import Table, read_table

DAY = dt.datetime(2024, 3, 5)


def kind(values: list[Any], **given: Any) -> tuple[str | None, str]:
    found = guess_schema(read_table({"v": values}), **given).column("v")
    return found.kind, found.reason


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05", "2024/3/5", "2024.03.05", "5 March 2024", "Mar 5, 2024", "5-Mar-2024", "Tue, 5 Mar 2024",
        "March 5th, 2024", "2024年3月5日", "2024年03月05号", "2024년 3월 5일", "20240305", "05.03.2024", " 2024-03-05 ",
    ],
)  # fmt: skip
def test_days(text: str) -> None:
    moment = read_moment(text)
    assert moment is not None and (moment.at, moment.offset, moment.is_time_only) == (DAY, None, False)


@pytest.mark.parametrize(
    ("text", "hour", "minute", "offset"),
    [
        ("2024-03-05 14:30", 14, 30, None), ("2024-03-05T14:30:00Z", 14, 30, 0), ("2024/03/05 2:30 PM", 14, 30, None),
        ("2024-03-05T14:30:00.250+02:00", 14, 30, 120), ("2024-03-05 14:30:00 -0330", 14, 30, -210),
        ("5 Mar 2024 14:30:00 GMT", 14, 30, 0), ("2024年3月5日 14:30", 14, 30, None), ("20240305T143000Z", 14, 30, 0),
        ("2024-03-05 12:05 am", 0, 5, None),
    ],
)  # fmt: skip
def test_days_with_a_time(text: str, hour: int, minute: int, offset: int | None) -> None:
    moment = read_moment(text)
    assert moment is not None and moment.offset == offset
    assert moment.at.replace(second=0, microsecond=0) == DAY.replace(hour=hour, minute=minute)


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "2024-13-01", "10:75", "25:00", "13:00 pm", "3/5/24", "12 kg", "1.2.3", "soon", "45356", ""],
)  # fmt: skip
def test_no_dates(text: str) -> None:
    assert read_moment(text) is None


def test_the_column_tells_day_first_from_month_first() -> None:
    assert date_cells(["05/03/2024", "25/03/2024"]).order == "dmy"
    assert date_cells(["05/03/2024", "03/25/2024"]).order == "mdy"
    both = date_cells(["25/03/2024", "03/25/2024"], row_number=lambda i: i + 10)
    assert both.reason is not None and "row 10 holds '25/03/2024' and row 11" in both.reason
    left_open = date_cells(["04/04/2024", "05/03/2024"])
    assert left_open.reason is not None and "5 March or 3 May" in left_open.reason and "date_order=" in left_open.reason
    assert date_cells(["05/03/2024"], "mdy").order == "mdy"
    assert read_moment("05/03/2024", "mdy") == read_moment("2024-05-03")


def test_zones() -> None:
    one = date_cells(["2024-03-05T10:00+02:00"] * 3)
    assert (one.zone, one.odd) == ("+02:00", ())
    mixed = date_cells(["2024-03-05T10:00+02:00", "2024-03-05T10:00Z", "2024-03-05 10:00"])
    assert (mixed.zone, mixed.odd) == ("UTC", (2,))
    moment = read_moment("2024-07-01T10:00:00Z")
    assert moment is not None and in_zone(moment, "Europe/Berlin") == dt.datetime(2024, 7, 1, 12)
    assert in_zone(moment, "") is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([dt.date(2024, 1, i + 1) for i in range(20)], "date"),
        ([dt.datetime(2024, 1, 1, i, tzinfo=dt.UTC) for i in range(20)], "date"),
        ([dt.time(i, 30) for i in range(20)], "date"),
        ([f"{i:02d}:30" for i in range(20)], "date"),
        (["2024-01-01", "2024-04-01"] * 10, "date"),
        ([f"2024-01-{i + 1:02d}" for i in range(19)] + ["soon"], "date"),
        ([f"2024-01-{i + 1:02d}" for i in range(10)] + ["5 May 2024", "2024年3月5日"], "date"),
        ([20240101 + i for i in range(20)], "date"),
        ([f"2024-01-{i + 1:02d}" for i in range(10)] + ["-"] * 5 + ["0000-00-00"], "date"),
        ([2000 + i for i in range(20)], "numeric"),
        ([45000 + 3 * i for i in range(20)], "numeric"),
        ([f"{i % 9 + 1}/3/2024" for i in range(20)], None),
        ([f"{i % 28 + 1}/3/24" for i in range(20)], None),
        (["2024-01-01", "14:30"] * 10, None),
        (["A", "B", "2024-01-01"] * 10, "categorical"),
    ],
)
def test_kind_of_columns(values: list[Any], expected: str | None) -> None:
    assert kind(values)[0] == expected, kind(values)


def test_what_cannot_be_told_says_what_to_type() -> None:
    ambiguous = [f"{i % 9 + 1}/3/2024" for i in range(20)]
    assert "date_order=" in kind(ambiguous)[1]
    assert kind(ambiguous, hints=Hints(date_order="dmy"))[0] == "date"
    with pytest.raises(ValueError, match="cannot be date.*date_order='dmy'"):
        kind(ambiguous, date="v")
    with pytest.raises(ValueError, match=r"four digits"):
        kind(["3/25/24"] * 9, date="v")
    with pytest.raises(ValueError, match=r"Excel's day numbers"):
        kind([45000 + i for i in range(20)], date="v")
    with pytest.raises(ValueError, match=r"date='v'"):
        kind([DAY] * 9, numeric="v")
    assert kind([2000 + i for i in range(20)], date="v")[0] == "date"


@pytest.mark.parametrize(
    "values", [[DAY + dt.timedelta(i) for i in range(30)], [f"2024-01-{i + 1:02d}" for i in range(30)]]
)
def test_a_target_of_dates_is_refused_with_a_way_out(values: list[Any]) -> None:
    table = read_table({"x": list(range(30)), "y": values})
    with pytest.raises(ValueError, match=r"predicts classes and numbers.*categorical='y'"):
        guess_task(table, guess_schema(table, target="y"))
    with pytest.raises(ValueError, match="predicts classes and numbers"):
        guess_task(table, guess_schema(table, target="y", date="y"))
    assert guess_task(table, guess_schema(table, target="y", categorical="y"))[0] == "classification"


def test_arrow_types_and_nanoseconds() -> None:
    nanos = pa.array([1_709_600_000_123_456_789, None], pa.timestamp("ns", "Europe/Berlin"))
    table = read_table(pa.table({"ns": nanos, "day": pa.array([1, None], pa.date32())}))
    assert isinstance(table, Table) and table.column("ns")[0].microsecond == 123456
    schema = guess_schema(table)
    assert {c.kind for c in schema.columns} == {"date"} and schema.readings["ns"].zone == "Europe/Berlin"
    assert Schema.from_json(schema.to_json()) == schema
