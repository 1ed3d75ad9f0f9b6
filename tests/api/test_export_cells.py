"""The reader of an exported folder judges rows as Plait judges a table; broken tables and folders are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.lazy import lazy
from plait.data.schema import Column, Schema
from plait.data.table import read_table
from plait.data.values import ColumnReading, spelling

as_table, sealed = (lazy(f"plait.api.exporting.reader.{name}") for name in ("as_table", "sealed"))
read_with_mark = lazy("plait.api.decimal_commas", "read_with_mark")
doubt_turned_dates = lazy("plait.api.turned_dates", "doubt_turned_dates")
read_as = lazy("plait.data.readers.column_types", "read_as")


def columns(kind: str, reading: ColumnReading) -> Any:
    return as_table.Columns({"x": {"kind": kind, "held": reading.held, "mark": reading.mark, "order": reading.order}})


def judged(kind: str, reading: ColumnReading, cells: list[Any]) -> list[Any]:
    return [row["x"] for row in columns(kind, reading).judged([{"x": cell} for cell in cells])]


def schema(kind: str, reading: ColumnReading) -> Schema:
    return Schema((Column("x", kind, "input", "", reading),))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize(
    "cells",
    [
        ["3,75", "1,5", "2,25", "4,125"], ["3.75", "1.5", "4.125"], ["4,125", "7.5"], ["4,125", None, "", "x"],
        ["7.5"] * 19 + ["7,5", "1,234"], ["1.234,5", "1,234"], ["\uff13,\uff15", "1,234"],
    ],
)  # fmt: skip
def test_decimal_marks_are_those_of_the_column(mark: str, cells: list[Any]) -> None:
    reading = ColumnReading("number", mark)
    expected = read_with_mark(read_table({"x": cells}), schema("numeric", reading), None).column("x")
    assert judged("numeric", reading, cells) == expected


def test_a_cell_in_doubt_says_both_numbers() -> None:
    found = judged("numeric", ColumnReading("number"), ["3,75", "1,5", "2,25", "4,125"])
    assert found[3] == "4,125 (4125 or 4.125?)"


@pytest.mark.parametrize("order", ["dmy", "mdy", ""])
@pytest.mark.parametrize(
    "cells", [["07/15/2024", "04/07/2024"], ["15/07/2024", "04/07/2024"], ["04/07/2024"], ["2024-07-04", None, "x"]]
)
@pytest.mark.filterwarnings("ignore")
def test_order_of_day_and_month_is_that_of_the_column(order: str, cells: list[Any]) -> None:
    reading = ColumnReading("text", order=order)
    expected = doubt_turned_dates(read_table({"x": cells}), schema("date", reading)).column("x")
    assert judged("date", reading, cells) == expected


@pytest.mark.parametrize("held", ["text", "whole", "number", "truth"])
@pytest.mark.parametrize(
    "cells",
    [["07", "7.0", "7.00", "\uff17"], ["7", "8"], ["7.0", "red"], ["7", "", "NA"], ["1,5", "2"], ["TRUE", "no"],
     ["TRUE", "", "false"], ["123456789012345678"]],
)  # fmt: skip
def test_codes_are_numbers_only_where_training_had_numbers(held: str, cells: list[str]) -> None:
    reading = ColumnReading(held)
    expected = [spelling(cell) for cell in read_as(cells, reading).to_pylist()]
    assert [spelling(cell) for cell in judged("categorical", reading, cells)] == expected
    if held == "text":
        assert judged("categorical", reading, cells) == cells


def test_rows_without_any_column_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"reads \(x \(did you mean ' X'\?\)\); they have  X"):
        columns("text", ColumnReading("text")).judged([{" X": "a"}])
    with pytest.raises(ValueError, match="they have none"):
        columns("text", ColumnReading("text")).judged([{}])
    with pytest.raises(ValueError, match="row 1 has more fields than the header"):
        columns("text", ColumnReading("text")).judged([{"x": "a"}, {"x": "a", None: ["b"]}])
    assert columns("text", ColumnReading("text")).judged([]) == []


def test_rows_of_a_csv_table(tmp_path: Path) -> None:
    long = "a" * 200_000
    (tmp_path / "t.csv").write_text(f'x,y\n1,"a,\nb"\n2\n\n3,4,5\n{long},"q"r\n6,{long}\n\n', encoding="utf-8-sig")
    assert as_table.read_csv(tmp_path / "t.csv") == [
        {"x": "1", "y": "a,\nb"}, "1 field where the header has 2 (line 4)", "a blank line",
        "3 fields where the header has 2 (line 6)", "broken quotes in line 7 (',' expected after '\"')",
        {"x": "6", "y": long},
    ]  # fmt: skip
    (tmp_path / "one.csv").write_text("x\na\n\nb\n", encoding="utf-8")
    assert as_table.read_csv(tmp_path / "one.csv") == [{"x": "a"}, {"x": ""}, {"x": "b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y,x\n1,2,3\n", r"\['x'\] appear more than once"), (b"x;y\n1;2\n", "expected commas"),
        (b"", "is empty"), (b"x,y\n\n", "but no rows"), (b"x,y\n1,\xe9\n", "is not UTF-8"),
        ("x,y\n1,2".encode("utf-16"), "is not UTF-8"),
        (b'x,y\n1,"2\n3,4\n', "never closed"), (None, "cannot read"),
    ],
)  # fmt: skip
def test_tables_that_are_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as told:
        as_table.read_csv(tmp_path / "t.csv")
    assert not isinstance(told.value, UnicodeError)


@pytest.mark.parametrize("content", [b"", b'{"sha256": {', b"\xff\xfe", b"[]", b"[" * 100_000, None])
def test_broken_facts_are_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "plait.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"plait\.json") as told:
        sealed.read_facts(tmp_path)
    assert type(told.value) is ValueError and told.value.__suppress_context__ is (content != b"[]")


def test_every_file_must_be_named_and_inside(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "plait_onnx" / "data").mkdir(parents=True)
    for name in ("model.onnx", "plait_onnx/data/values.py"):
        (folder / name).write_text(name)
    sums = {name: sealed.sha256_of(folder / name) for name in sealed.sealed_files(folder)}
    sealed.require_sealed(folder, {"sha256": sums})
    assert json.loads(json.dumps(sums)) == sums and len(sums) == 2
    for wrong in (None, {}, []):
        with pytest.raises(ValueError, match="no sha256 of the files"):
            sealed.require_sealed(folder, {"sha256": wrong})
    for name in sums:
        with pytest.raises(ValueError, match=f"no sha256 of '{name}'"):
            sealed.require_sealed(folder, {"sha256": {key: value for key, value in sums.items() if key != name}})
    (tmp_path / "secret").write_text("a")
    (folder / "link").symlink_to(tmp_path / "secret")
    for name in ("../secret", str(tmp_path / "secret"), "link", "a/../../secret", "..\\secret"):
        with pytest.raises(ValueError, match="outside the folder"):
            sealed.require_sealed(folder, {"sha256": {**sums, name: "00"}})
