"""The one reading of values: numbers with point or comma, grouped digits, truth values."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.values import decimal_mark, is_missing_number, read_number, truth_word


@pytest.mark.parametrize(
    ("cell", "point", "comma"),
    [
        ("522,50", None, 522.5), ("522.50", 522.5, None), ("1,234", 1234.0, 1.234), ("1.234", 1.234, 1234.0),
        ("1,234,567", 1234567.0, None), ("1.234.567", None, 1234567.0), ("1,234.5", 1234.5, None),
        ("1.234,5", None, 1234.5), ("1 234 567", 1234567.0, 1234567.0), ("1\u202f234,5", None, 1234.5),
        ("1'234.5", 1234.5, None), ("0,123", None, 0.123), ("0.123", 0.123, None), ("-7", -7.0, -7.0),
        ("+7", 7.0, 7.0), ("\u22127.5", -7.5, None), ("1e3", 1000.0, 1000.0), ("1,5e3", None, 1500.0),
        (".5", 0.5, None), (",5", None, 0.5), ("5.", 5.0, None), ("٣٫5", None, None), ("١٢", 12.0, 12.0),
        ("1_000", None, None), ("12%", None, None), ("$5", None, None), ("", None, None), ("-", None, None),
        ("1,23,456", None, None), ("12,34.5", None, None), ("1,234 567", None, None), ("inf", None, None),
        ("nan", None, None), ("1e999", None, None), ("0x10", None, None), ("1.2.3", None, None), ("01", 1.0, 1.0),
    ],
)  # fmt: skip
def test_a_cell_under_either_mark(cell: str, point: float | None, comma: float | None) -> None:
    assert read_number(cell, ".") == point
    assert read_number(cell, ",") == comma


def test_what_is_a_number_already() -> None:
    assert read_number(3) == 3.0 and read_number(np.float32(0.5)) == 0.5
    assert read_number(True) is None and read_number(None) is None and read_number(float("inf")) is None
    assert read_number([1]) is None and read_number(float("nan")) is None


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["522,50", "1.234", "7"], ","), (["1,234", "7.5"], "."), (["1,234", "1,234,567"], "."), (["1.234", "5"], "."),
        (["1", "2"], "."), ([], "."), ([None, 3.5, ""], "."), (["1 234", "0,5"], ","), (["1,5", "n/a", ""], ","),
    ],
)  # fmt: skip
def test_the_mark_of_a_column(cells: list[object], mark: str) -> None:
    found = decimal_mark(cells)
    assert found.mark == mark and found.reason is None and found.unreadable == ()


def test_a_column_that_contradicts_itself_names_two_rows() -> None:
    found = decimal_mark(["7", "1.5", "2,25"])
    assert found.mark is None and "row 1 holds '1.5' and row 2 holds '2,25'" in str(found.reason)
    assert decimal_mark(["1.234", "1,234"]).mark is None


def test_an_open_column_names_a_row_and_what_to_type() -> None:
    found = decimal_mark(["999", "1,234"])
    assert found.mark is None and "row 1 holds '1,234', which is 1234 or 1.234" in str(found.reason)
    assert "decimal=" in str(found.reason)


def test_cells_that_are_no_numbers_are_counted_by_position() -> None:
    assert decimal_mark(["1", "?", "2,5", "many"]) == decimal_mark(["1", "??", "2,5", "few"])
    assert decimal_mark(["1", "?", "2,5", "many"]).unreadable == (1, 3)


def test_missing_and_truth() -> None:
    assert all(map(is_missing_number, (None, "", "  ", "NaN", "n/a", float("nan"))))
    assert not any(map(is_missing_number, ("0", 0, "?", "no")))
    assert [truth_word(v) for v in (True, np.bool_(False), "TRUE", " False ", "yes", 1, None)] == [
        "true", "false", "true", "false", None, None, None,
    ]  # fmt: skip
