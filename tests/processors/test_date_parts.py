"""Dates as numbers: parts worked by hand, constant ones left out, the same from every source."""

from __future__ import annotations

import datetime as dt
import json
import math

import pytest
import torch

from plait.data.values import ColumnReading
from plait.processors import TabularProcessor
from plait.processors.date_parts import DateParts

DAYS = [f"2023-{m:02d}-{d:02d}" for m in range(1, 13) for d in (1, 11, 21)]


def test_parts_by_hand() -> None:
    parts = DateParts.fit(["2024-01-01", "2024-01-03", "2024-01-05"], None)
    assert set(parts.parts) == {"day", "age", "weekday_sin", "weekday_cos", "day_of_year_sin", "day_of_year_cos"}
    assert parts.latest == dt.datetime(2024, 1, 5)
    assert parts.parts["age"] == pytest.approx((-2, math.sqrt(8 / 3)))
    made = dict(zip(parts.parts, parts.numbers([dt.datetime(2024, 1, 3)])[0], strict=True))
    assert made["age"] == pytest.approx(0) and made["day"] == pytest.approx(0)
    mean, std = parts.parts["weekday_sin"]  # Monday, Wednesday, Friday
    assert mean == pytest.approx((0 + math.sin(4 * math.pi / 7) + math.sin(8 * math.pi / 7)) / 3)
    assert made["weekday_sin"] == pytest.approx((math.sin(4 * math.pi / 7) - mean) / std)


def test_times_alone_have_a_time_of_day_and_no_year() -> None:
    parts = DateParts.fit(["06:00", "12:00", "18:00"], None)
    assert set(parts.parts) == {"age", "time_of_day_sin", "time_of_day_cos"}
    assert parts.read(["2024-01-01", "7:15"])[1] == [(0, "'2024-01-01' is a date, where training had times only")]


def test_one_day_in_every_row_stays_finite() -> None:
    made = TabularProcessor.fit({"d": ["2024-01-01"] * 5}, dates=["d"])
    assert made.process({"d": ["2024-01-01", "2030-01-01", None]})["numeric_BF"].isfinite().all()
    assert TabularProcessor.fit({"d": [None] * 5}, dates=["d"]).num_numbers == 1


def test_text_and_types_give_the_same_bits_and_missing_ones_none() -> None:
    made = TabularProcessor.fit({"d": DAYS}, dates=["d"], readings={"d": ColumnReading("text", missing=("?",))})
    given = ["2023-05-06", dt.date(2023, 5, 6), dt.datetime(2023, 5, 6), 20230506, "6 May 2023"]
    numbers = made.process({"d": given})["numeric_BF"]
    assert all(torch.equal(numbers[0], row) for row in numbers)
    out = made.process({"d": ["?", None, "", "soon", "05/06/2023"]})
    assert (out["numeric_BF"] == 0).all() and (out["missing_BF"] == 1).all()
    assert [f.reason for f in made.faults] == [
        "'soon' is no date", "'05/06/2023' is day or month first, and the training table does not say which",
    ]  # fmt: skip
    assert made.blank.tolist() == [0, 1, 2, 3, 4]


def test_zones_mean_the_same_moment_everywhere() -> None:
    reading = ColumnReading("text", zone="+02:00")
    parts = DateParts.fit(["2024-03-05T10:00+02:00", "2024-03-06T11:00+02:00"], reading)
    utc = dt.datetime(2024, 3, 5, 8, tzinfo=dt.UTC)
    moments, odd = parts.read(["2024-03-05T10:00+02:00", utc, "2024-03-05 10:00"])
    assert moments[0] == moments[1] == dt.datetime(2024, 3, 5, 10) and odd[0][0] == 2
    assert "has no time zone" in odd[0][1]
    assert "has a time zone" in DateParts.fit(DAYS, None).read([utc])[1][0][1]


def test_json_keeps_every_bit() -> None:
    columns = {"x": ["1", "?", "3"], "d": ["2024-01-01 10:00", "2024-02-03 11:30", "2023-07-05 00:00"]}
    readings = {"x": ColumnReading("text", missing=("?",)), "d": ColumnReading("text", order="dmy")}
    made = TabularProcessor.fit(columns, ["x"], dates=["d"], readings=readings)
    again = TabularProcessor.from_json(json.loads(json.dumps(made.to_json())))
    rows = {"x": ["?", "2", "abc"], "d": ["03/04/2024", None, "2025-01-01"]}
    for key, value in made.process(rows).items():
        assert torch.equal(value, again.process(rows)[key])
    assert again.fingerprint == made.fingerprint and len(made.faults) == 1
