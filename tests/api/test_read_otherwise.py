"""A trained model reads tables that are written otherwise: another decimal mark, larger pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.schema import Column, Schema
from plait.data.table import read_table
from plait.data.values import ColumnReading

read_with_mark = lazy("plait.api.decimal_commas", "read_with_mark")


def schema(mark: str = ".") -> Schema:
    return Schema((Column("area", "numeric", "input", "holds numbers", ColumnReading("number", mark)),))


def test_cells_of_the_other_mark_are_counted_once_by_column() -> None:
    table = read_table({"area": ["1,5", "2,25", "3.5", "?", "12,345"]})
    with pytest.warns(UserWarning, match="3 cells of column 'area' look like numbers with decimal commas") as caught:
        assert read_with_mark(table, schema(), None) is table
    assert len(caught) == 1 and str(caught[0].message).endswith("type decimal=','")


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
    with pytest.raises(ValueError, match="takes only data.max_pixels and data.decimal in set="):
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
