"""One run reports everything that is wrong with a table: targets, cells of every column and lines that do not parse."""

from __future__ import annotations

from pathlib import Path

import pytest

import plait
from fixtures.settings import QUICK
from plait.data.bad_rows import bad_rows_message
from plait.data.table import BadRow, read_table


def test_bad_targets_pictures_and_lines_are_reported_at_once(tmp_path: Path) -> None:
    from PIL import Image

    lines = ["photo,size,price"]
    for i in range(40):
        Image.new("RGB", (8, 8), (i, 9, 9)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{i}.5,{'' if i in (3, 4) else 1.5 * i}")
    (tmp_path / "7.png").write_bytes(b"no picture")
    lines.append("8.png,1,2,3")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        plait.fit(str(tmp_path / "t.csv"), "price", set=QUICK)
    said = str(caught.value)
    assert "\n4 of 41 rows of " in said and "('price': 2 cells, 'photo': 1 cell)" in said
    for part in ("row 3, column 'price'", "row 4, column 'price'", "row 7, column 'photo'", "row 40: 4 fields"):
        assert part in said


def test_the_first_of_each_column_is_shown() -> None:
    table = read_table({"a": list(range(30)), "b": list(range(30))})
    bad = [*(BadRow(i, "a", "bad") for i in range(20)), BadRow(25, "b", "worse")]
    said = bad_rows_message(bad, table)
    assert "21 of 30 rows" in said and "row 25, column 'b': worse" in said and "... and 11 more" in said
    assert "('a': 20 cells, 'b': 1 cell)" in said
