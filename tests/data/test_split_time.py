"""Rows split by time: earliest to train, ties and groups whole, cuts said."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

import plait
from plait.data.column_kind import Hints
from plait.data.split_time import cuts_in_words, read_times, split_by_time
from plait.data.table import read_table

QUICK = ["train.baselines=false", "judge.missing_rows=0", "train.threads=1"]


def test_earliest_train_latest_test() -> None:
    order = np.random.default_rng(0).permutation(100)
    split = split_by_time(order.tolist())
    assert set(order[split == "train"]) == set(range(80))
    assert set(order[split == "val"]) == set(range(80, 90)) and set(order[split == "test"]) == set(range(90, 100))


def test_equal_times_are_never_parted() -> None:
    times = [i // 9 for i in range(90)]
    split = split_by_time(times)
    assert all(len({s for s, t in zip(split, times, strict=True) if t == one}) == 1 for one in range(10))
    assert [int((split == name).sum()) for name in ("train", "val", "test")] == [72, 9, 9]
    assert split_by_time([1] * 98 + [2, 3]).tolist() == ["train"] * 98 + ["val", "test"]
    assert split_by_time([1, 1, 2]).tolist() == ["train", "train", "test"]
    with pytest.raises(ValueError, match="same moment"):
        split_by_time([1, 1, 1])


def test_groups_stand_where_their_latest_row_does() -> None:
    times = list(range(100))
    group = [None] * 100
    group[3] = group[95] = "a"  # type: ignore[call-overload]
    split = split_by_time(times, group=group)
    assert split[3] == split[95] == "test"
    assert max(t for t, s in zip(times, split, strict=True) if s == "train") < min(
        t for t, s in zip(times, split, strict=True) if s == "val"
    )


def test_cuts_in_words() -> None:
    days = [dt.datetime(2024, 1, 1) + dt.timedelta(i) for i in range(10)]
    assert cuts_in_words(days, split_by_time(days)) == (
        "train from 2024-01-01 to 2024-01-08 (8 rows), val from 2024-01-09 to 2024-01-09 (1 row), "
        "test from 2024-01-10 to 2024-01-10 (1 row)"
    )


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ([f"{i + 1}/3/2024" for i in range(20)] + ["", "soon"], [20, 21]),
        ([float(i) for i in range(20)] + [None], [20]),
        ([dt.date(2024, 1, 1), None, dt.date(2023, 1, 1)], [1]),
        (["1,5", "2,5", "-", "x9"] + ["3,25"] * 20, [2, 3]),
    ],
)
def test_times_are_read_and_missing_ones_named(values: list[Any], faults: list[int]) -> None:
    table = read_table({"t": [None if v == "" else v for v in values]})
    assert sorted(read_times(table, "t", Hints()).faults) == faults


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"] * 10, "expected dates or numbers, it holds string"),
        ([f"{i % 9 + 1}/3/2024" for i in range(20)], "date_order="),
    ],
)
def test_what_is_no_time_is_refused(values: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_times(read_table({"t": values}), "t", Hints())


def dated(rows: int = 100) -> dict[str, list[Any]]:
    """Rows from the latest to the earliest."""
    days = [dt.date(2024, 6, 1) - dt.timedelta(i) for i in range(rows)]
    return {"day": days, "x": [float(i % 7) for i in range(rows)], "label": ["ab"[i % 2] for i in range(rows)]}


def test_a_run_split_by_time_says_its_cuts_and_is_found_again() -> None:
    table = dated()
    model = plait.fit(table, "label", split_by_time="day", epochs=1, set=QUICK)
    assert model.report["splits"] == {"train": 80, "val": 10, "test": 10}
    cuts = [n for n in model.report["evaluation"]["notes"] if n.startswith("rows were split by time, by column 'day'")]
    assert len(cuts) == 1 and "train from 2024-02-23 to 2024-05-12" in cuts[0]
    assert "test from 2024-05-23 to 2024-06-01" in cuts[0]
    again = model.evaluate(table)["evaluation"]
    assert again["split"] == "test" and again["rows"] == 10
    assert again["metrics"] == model.report["evaluation"]["metrics"]
    latest = {name: column[:10] for name, column in table.items()}
    assert model.evaluate(latest, rows="all")["evaluation"]["metrics"]["accuracy"] == again["metrics"]["accuracy"]


def test_rows_without_a_date_are_reported_by_row() -> None:
    table = dated()
    table["day"][7] = None
    with pytest.raises(ValueError, match="1 of 100 rows.*\n  row 7, column 'day': no date"):
        plait.fit(table, "label", split_by_time="day", epochs=1, set=QUICK)
    model = plait.fit(table, "label", split_by_time="day", on_bad_row="skip", epochs=1, set=QUICK)
    assert sum(model.report["splits"].values()) == 99
    assert [b["row"] for b in model.report["evaluation"]["bad_rows"]] == [7]
    assert model.evaluate(table, on_bad_row="skip")["evaluation"]["split"] == "test"


def test_two_ways_to_split_are_refused_and_a_guessed_one_gives_way() -> None:
    table = dated() | {"split": ["train"] * 50 + ["test"] * 50}
    with pytest.raises(ValueError, match="leave split= or split_by_time= out"):
        plait.fit(table, "label", split="split", split_by_time="day", set=QUICK)
    model = plait.fit(table, "label", split_by_time="day", epochs=1, set=QUICK)
    assert model.report["splits"]["train"] == 80 and model.schema.split is None
    assert any("'split' is left out: rows are split by time" in n for n in model.report["evaluation"]["notes"])
    with pytest.raises(ValueError, match="Did you mean 'day'"):
        plait.fit(table, "label", split_by_time="dya", set=QUICK)
