"""Columns of text that are numbers but for a few cells, and numbers with units."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.data.column_kind import Hints
from plait.data.nearly_numeric import common_unit, number_cells
from plait.data.schema import Column, guess_schema, guess_task
from plait.data.table import read_table


def column(values: list[object], name: str = "v", hints: Hints | None = None) -> Column:
    return guess_schema(read_table({name: values}), hints=hints).column(name)


def test_marks_are_missing_and_other_words_are_odd() -> None:
    found = number_cells([*map(str, range(30)), "?", " - ", "n/a", "abc", None])
    assert (found.mark, found.odd, found.marked, found.missing) == (".", (33,), (30, 31), ("-", "?"))
    assert found.filled == 31 and found.is_nearly


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([*map(str, range(99)), "?"], "numeric"),
        ([*map(str, range(9)), "abc"], "numeric"),
        ([*map(str, range(8)), "abc", "abd"], "categorical"),  # one cell in five has a meaning of its own
        (["1,5"] * 3 + ["2,75", "?"], "numeric"),
        ([str(i % 5) for i in range(95)] + ["3+"] * 5, "numeric"),
        ([f"{i:04d}" for i in range(99)] + ["?"], None),  # leading zeros: codes
        ([f"+49 30 {i:06d}" for i in range(99)] + ["?"], "text"),
        (["0", "1"] * 30 + ["?"], "categorical"),
        (["1.10", "1.20", "beta"] * 20, "categorical"),
        (["?"] * 20, "categorical"),
    ],
)
def test_kind_of_nearly_numeric_columns(values: list[object], kind: str | None) -> None:
    assert column(values).kind == kind


def test_reasons_name_rows_and_spellings() -> None:
    found = column([*(f"{i}.5" for i in range(50)), "?", "lost"])
    assert "'?' in row 50" in found.reason and "1 cell is no number: 'lost' in row 51" in found.reason
    assert found.reading is not None and found.reading.missing == ("?",)


def test_a_column_that_leaves_its_mark_open_says_what_to_type() -> None:
    values = ["1,234"] * 30 + ["?"]
    assert column(values).kind is None and "decimal=" in column(values).reason
    given = column(values, hints=Hints(decimal=","))
    assert given.kind == "numeric" and given.reading is not None and given.reading.mark == ","


def test_digits_in_memory_are_read_as_in_a_file() -> None:
    assert column([str(10 * i) for i in range(40)]).kind == "numeric"
    assert column([f"{i:05d}" for i in range(40)], "zip").kind == "categorical"
    assert column([str(10_000 + i) for i in range(40)], "zip").kind == "categorical"


def test_versions_in_memory_are_told_as_those_of_a_file() -> None:
    with pytest.warns(UserWarning, match=r"column 'v' holds '1.1' and '1.10', which are one number"):
        assert column(["1.1", "1.10", "1.2"] * 20).kind == "numeric"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["+5.2", "-3.1", "0"], [5.2, -3.1, 0]),
        (["+5", "-3", "0"], [5, -3, 0]),
        (["+1,250.00", "-310.00", "7.5"], [1250, -310, 7.5]),
        (["+0,5", "1,25", "3"], [0.5, 1.25, 3]),
        (["+49", "+1", "+44"], None),
        (["+49 30 1234", "-3"], None),
        (["+05", "-3"], None),
        (["+491234567", "7"], None),
    ],
)
def test_plus_signs_of_numbers_and_of_phone_numbers(
    tmp_path: Path, cells: list[str], expected: list[float] | None
) -> None:
    """A column of changes had been taken for codes, and left out or read as categories."""
    (tmp_path / "t.csv").write_text("v;w\n" + "".join(f"{cell};1\n" for cell in cells), encoding="utf-8")
    assert read_table(tmp_path / "t.csv").column("v") == (cells if expected is None else expected)
    assert (column(cells * 20).kind == "numeric") == (expected is not None)


@pytest.mark.parametrize(
    ("cells", "unit"),
    [
        (["12 kg", "7.5 kg", "n/a"], "kg"), (["5%", "7.5 %"], "%"), (["$3", "$1,234.50"], "$"), (["€ 5"] * 3, "€"),
        (["5 元"] * 3, "元"), (["-3°C", "4°C"], "°C"), (["A1", "B2"], None), (["3 kg", "4 lb"], None),
        (["x01", "x02"], None),
        (["12:30"] * 3, None), (["5", "6"], None),
    ],
)  # fmt: skip
def test_units(cells: list[str], unit: str | None) -> None:
    assert common_unit(cells) == unit


def test_units_are_said_where_the_column_is_left_out() -> None:
    found = column([f"{i}kg" for i in range(60)])
    assert found.kind is None and "numbers with 'kg'" in found.reason


def test_a_target_of_numbers_with_one_mark_is_a_regression() -> None:
    def task(cells: list[str]) -> str:
        table = read_table({"x": [i * 0.5 for i in range(len(cells))], "y": cells})
        return guess_task(table, guess_schema(table, target="y"))[0]

    assert (
        task([f"{i * 1.5}" for i in range(59)] + ["?"])
        == task([f"{i + 0.5}" for i in range(14)] + ["-"])
        == "regression"
    )
    with pytest.raises(ValueError, match="decimal="):
        task([f"{i + 1},234" for i in range(40)])
    assert task([str(i % 5) for i in range(59)] + ["?"]) == "classification"
