"""A trained model reads tables that are written otherwise: another decimal mark, larger pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.moments import read_moment
from plait.data.schema import Column, Schema
from plait.data.table import TextReading, read_table
from plait.data.values import ColumnReading

read_with_mark = lazy("plait.api.decimal_commas", "read_with_mark")
doubt_turned_dates = lazy("plait.api.turned_dates", "doubt_turned_dates")


def schema(mark: str = ".") -> Schema:
    return Schema((Column("area", "numeric", "input", "holds numbers", ColumnReading("number", mark)),))


def test_cells_of_the_other_mark_are_counted_once_by_column() -> None:
    table = read_table({"area": ["1,5", "2,25", "3.5", "?", "12,345"]})
    with pytest.warns(UserWarning, match="3 cells of column 'area' look like numbers with decimal commas") as caught:
        read = read_with_mark(table, schema(), None)
    assert read.column("area") == ["1,5", "2,25", "3.5", "?", "12,345 (12345 or 12.345?)"]
    assert len(caught) == 1 and str(caught[0].message).endswith("type decimal=','")


def test_grouped_numbers_without_a_cell_of_the_other_mark_stay(recwarn: pytest.WarningsRecorder) -> None:
    table = read_table({"area": ["1,234", "999", "3.5"]})
    assert read_with_mark(table, schema(), None) is table and not recwarn.list


def test_grouped_whole_numbers_of_a_later_file_are_told(tmp_path: Path) -> None:
    """1.234 had been read as a bit more than one, without a word."""
    trained = TextReading(readings={"area": ColumnReading("whole")})
    (tmp_path / "t.csv").write_text("area;z\n1.234;1\n2.500;1\n999;1\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"'1.234' is read as a number with decimals; if '.' groups .* decimal=','"):
        assert read_table(tmp_path / "t.csv", text=trained).column("area") == [1.234, 2.5, 999]
    (tmp_path / "t.csv").write_text("area;z\n1.234;1\n2.5;1\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv", text=trained).column("area") == [1.234, 2.5]


def test_one_slip_takes_no_other_cell_along() -> None:
    cells = [*(f"{i},000.5" for i in range(1, 12)), "7,25", "1,234"]
    with pytest.warns(UserWarning, match="cells of column 'area' look"):
        assert read_with_mark(read_table({"area": cells}), schema(), None).column("area") == cells


def test_dates_in_the_other_order_take_the_open_ones_along() -> None:
    """04/07/2024 had been read as 4 July beside 07/15/2024, without a word."""
    known = Schema((Column("when", "date", "input", "dates", ColumnReading("text", order="dmy")),))
    later = read_table({"when": ["04/07/2024", "07/15/2024", "25/12/2024", "2024-03-05", "3/3/2024", None]})
    with pytest.warns(UserWarning, match=r"row 1 of column 'when' holds '07/15/2024', month first.*so 1 cell that"):
        read = doubt_turned_dates(later, known)
    assert read.column("when") == ["04/07/2024 (day first or month first?)", *later.column("when")[1:]]
    assert read_moment(read.column("when")[0], "dmy") is None
    same = read_table({"when": ["04/07/2024", "25/12/2024"]})
    assert doubt_turned_dates(same, known) is same


def test_predictions_from_dates_in_the_other_order_are_no_silent_answers() -> None:
    days = [(day, month) for month in (1, 4, 7, 10) for day in range(1, 25)]
    labels = ["ABCD"[month // 3] for _, month in days]
    trained = {"when": [f"{d:02d}/{m:02d}/2024" for d, m in days], "y": labels}
    model = plait.fit(trained, "y", set=[*QUICK, "train.epochs=1"])
    with pytest.warns(UserWarning, match="the model was trained on dates with the day first"):
        told = model.predict({"when": [f"{m:02d}/{d:02d}/2024" for d, m in days]}).column("problem").to_pylist()
    doubtful = {place for place, (d, m) in enumerate(days) if d != m}
    assert {place for place, problem in enumerate(told) if problem} == doubtful


def test_the_mark_that_is_given_reads_them() -> None:
    table = read_table({"area": ["1,5", "1.234,25", "?", None, "12,345"]})
    read = read_with_mark(table, schema(), ",")
    assert read.column("area") == ["1.5", "1234.25", "?", None, "12.345"]
    points = read_with_mark(read_table({"area": ["1.5", "x"]}), schema(","), ".")
    assert points.column("area") == ["1,5", "x"]


def test_a_file_of_decimal_commas_is_predicted_as_one_of_points(tmp_path: Path) -> None:
    areas = [i * 1.5 + 0.25 for i in range(40)]
    labels = ["big" if a > 30 else "small" for a in areas]
    model = plait.fit({"area": areas, "y": labels}, "y", set=[*QUICK, "train.epochs=2"])
    for name, mark in (("points.csv", "."), ("commas.csv", ",")):
        cells = [f"{a:.3f}".replace(".", mark) for a in areas]
        (tmp_path / name).write_text("\n".join(["area;z", *(f"{c};1" for c in cells)]), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = model.predict(tmp_path / "points.csv")
        assert model.predict(tmp_path / "commas.csv", decimal=",").equals(expected)
    with pytest.raises(ValueError, match=r"unknown decimal ';' \(decimal=\)"):
        model.predict(tmp_path / "commas.csv", decimal=";")
    with pytest.raises(ValueError, match="takes only data.max_pixels, data.decimal, augment.test_views in set="):
        model.predict(tmp_path / "commas.csv", set=["train.epochs=3"])


def test_larger_pictures_than_those_of_the_training(posts_model: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (48, 48), (9, 200, 9)).save(tmp_path / "large.png")
    model = plait.load(posts_model)
    model.inputs.accept_pixels(2000)
    rows = {"image": [str(tmp_path / "large.png")]}
    found = model.predict(rows, allow_outside=True).to_pylist()[0]
    assert "raise it with set=['data.max_pixels=2304']" in found["problem"]
    assert model.predict(rows, allow_outside=True, set=["data.max_pixels=2304"]).to_pylist()[0]["problem"] is None
