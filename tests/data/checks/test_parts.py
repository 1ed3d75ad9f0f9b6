"""Checks of a split look at the one that ``plait.fit`` makes with the same options: by time, by column, at random."""

from __future__ import annotations

from typing import Any

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK

parts_of_fit = lazy("plait.data.checks.parts", "parts_of_fit")
DataSettings = lazy("plait.settings", "DataSettings")
guess_schema = lazy("plait.data.schema", "guess_schema")
read_table = lazy("plait.data.table", "read_table")
in_language = lazy("plait.api", "in_language")
LEAKS = ("P040", "P041", "P042", "P043", "P044")


def dated(**more: Any) -> dict[str, list[Any]]:
    """60 rows, the latest first: the first 6 are the test rows of a split by time, the next 6 validate."""
    days = [60 - i for i in range(60)]
    return {
        "day": days, "size": [float(i * 7 % 59) for i in range(60)], "label": ["ab"[i % 2] for i in range(60)], **more,
    }  # fmt: skip


def test_classes_of_a_split_by_time() -> None:
    table = dated()
    table["label"][0] = table["label"][2] = "new"  # of the latest days alone
    found = plait.check(table, "label", split_by_time="day").finding("P013")
    assert (found.severity, found.rows) == ("warning", [0, 2])
    assert found.detail == ("1 class is not in train: 'new' in rows 0, 2; rows are split by time, by column 'day'")
    assert in_language("zh", found.detail) == ("1 个类别不在训练行中：第 0、2 行中有“new”；行按时间划分，依据列“day”")
    model = plait.fit(table, "label", split_by_time="day", epochs=1, set=QUICK)
    notes = " ".join(model.report["evaluation"]["notes"])
    assert (
        model.report["splits"] == {"train": 48, "val": 6, "test": 6}
        and "of classes that training did not have" in notes
    )
    assert plait.check(dated(), "label", split_by_time="day").finding("P013").severity == "ok"


def test_contents_on_both_sides_of_a_split_by_time() -> None:
    """A row that comes again later is nobody's fault, so it is a warning; a column that parts them is an error."""
    table = dated(text=[f"a story that is number {i} of all" for i in range(60)])
    for name in ("text", "size"):
        table[name][1] = table[name][40]  # a test row repeats a training row
    by_time = plait.check(table, "label", split_by_time="day", ignore=["day"])
    assert [by_time.finding(code).severity for code in LEAKS] == ["warning", "n/a", "warning", "n/a", "n/a"]
    assert by_time.finding("P040").rows == by_time.finding("P042").rows == [1, 40]
    assert "test row 1 and train row 40" in by_time.finding("P042").detail
    assert by_time.finding("P042").detail.endswith("; rows are split by time, by column 'day'")
    parts = ["test"] * 6 + ["val"] * 6 + ["train"] * 48
    by_column = plait.check(table | {"split": parts}, "label", ignore=["day"])
    assert [by_column.finding(code).severity for code in LEAKS] == ["error", "n/a", "warning", "n/a", "n/a"]
    assert by_column.finding("P040").rows == [1, 40]


def test_groups_stay_together_in_a_split_by_time() -> None:
    table = dated(who=[f"p{i % 30}" for i in range(60)])
    found = plait.check(table, "label", split_by_time="day", group="who")
    assert found.finding("P043").severity == "ok"
    table["split"] = ["test"] * 6 + ["train"] * 54
    assert plait.check(table, "label", split="split", group="who").finding("P043").severity == "error"


def test_a_row_without_a_time_stands_in_no_part() -> None:
    table = dated(text=[f"a story that is number {i} of all" for i in range(60)])
    table["text"][1] = table["text"][40]
    table["day"][1] = None
    found = plait.check(table, "label", split_by_time="day", text="text")
    assert found.finding("P042").severity == "ok" and found.finding("P013").severity == "ok"


def test_a_split_at_random_is_looked_at_too() -> None:
    table = {"size": [float(i % 20) for i in range(60)], "label": ["a", "b", "c"] + ["a", "b"] * 28 + ["a"]}
    found = plait.check(table, "label")
    assert (found.finding("P013").severity, found.finding("P013").detail) == (
        "info", "1 class is not in val: 'c'; 1 class is not in test: 'c'; rows are split at random, as a fit with "
        "these options does",
    )  # fmt: skip
    assert "行随机划分，与采用相同选项的 plait fit 一致" in in_language("zh", found.finding("P013").detail)
    assert found.finding("P040").severity == "info" and found.finding("P041").severity == "n/a"


@pytest.mark.parametrize("how", ["random", "group", "time", "time and group", "text", "column without test"])
def test_the_parts_are_those_of_the_fit(how: str) -> None:
    table = dated(who=[f"p{i % 25}" for i in range(60)])
    given: dict[str, Any] = {"ignore": ["day"]}
    if "group" in how:
        given["group"] = "who"
    if "time" in how:
        given["split_by_time"] = "day"
    if how == "text":
        table["text"] = [f"a story that is number {i % 40} of all" for i in range(60)]
    if how == "column without test":
        table["split"] = ["train"] * 60
    model: Any = plait.fit(table, "label", epochs=1, set=QUICK, **given)
    opened = read_table(table)
    schema = guess_schema(opened, target="label", group=given.get("group"), ignore=["day"])
    settings = DataSettings(split_by_time=given.get("split_by_time"))
    parts = parts_of_fit(opened, schema, settings, 0)
    assert parts.how == ("time" if "time" in how else "random")
    for name, rows in model.report["splits"].items():
        assert parts.names.count(name) == rows
    tested = {e["row"] for e in model.report["evaluation"]["examples"]}
    assert tested == {i for i, name in enumerate(parts.names) if name == "test"}


def test_rows_that_cannot_be_dealt_are_left_to_other_findings() -> None:
    found = plait.check({"size": [1.0, 2.0], "day": [3, 3], "label": ["a", "b"]}, "label", split_by_time="day")
    assert found.finding("P013").severity == "n/a"
