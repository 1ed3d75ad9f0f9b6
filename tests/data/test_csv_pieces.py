"""A CSV file read piece by piece: the same types, values, bad rows and warnings as in one piece."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from plait.data.readers.delimited_pieces import scan_delimited
from plait.data.readers.formats import read_path
from plait.data.readers.parsed import TextReading
from plait.data.table_pieces import can_be_scanned
from plait.data.values import ColumnReading

HOW = TextReading(
    readings={
        "whole": ColumnReading("whole"), "real": ColumnReading("number", ","), "truth": ColumnReading("truth"),
        "text": ColumnReading("text"), "late": ColumnReading("whole"), "broken": ColumnReading("number"),
    }
)  # fmt: skip
NEW = {"new_whole": "7", "new_number": "1.5", "new_text": "a,b", "new_truth": "true", "empty": ""}


def write(path: Path, rows: int) -> None:
    """Columns that training knew and others; the last rows make some of another type, and lines that do not parse."""
    draw = random.Random(0)
    lines = ["whole,real,truth,text,late,broken," + ",".join(NEW)]
    for i in range(rows):
        last = i == rows - 2
        cells = [
            "n/a" if i % 5 == 0 else str(i), f'"{i},5"', draw.choice(["true", "FALSE", ""]),
            f'"a ""quoted"" text\nover two lines {i}"', "1.5" if last else "3", "red" if last else "4",
            *(f'"{cell}"' for cell in NEW.values()),
        ]  # fmt: skip
        lines.append(",".join(cells))
        if i % 6 == 1:
            lines.append("too,few")
        if i % 11 == 0:
            lines.append("")
    path.write_text("\n".join(["\ufeff" + lines[0], *lines[1:]]) + "\n\n\n", encoding="utf-8")


@pytest.mark.parametrize("rows", [1, 4, 29, 200])
@pytest.mark.parametrize("most_bytes", [1, 1 << 30])
def test_pieces_are_the_whole(tmp_path: Path, rows: int, most_bytes: int) -> None:
    path = tmp_path / "rows.csv"
    write(path, 29)
    whole = read_path(path, text=HOW)
    scanned = scan_delimited(path, str(path), set(whole.arrow.column_names), HOW, None, ())
    assert scanned is not None and scanned.rows == whole.arrow.num_rows == 29
    assert scanned.schema.equals(whole.arrow.schema) and scanned.bad_rows == len(whole.bad_rows)
    pieces = list(scanned.pieces(rows=rows, most_bytes=most_bytes))
    assert [first for first, _ in pieces] == [sum(p.arrow.num_rows for _, p in pieces[:i]) for i in range(len(pieces))]
    assert len(pieces) == (29 if most_bytes == 1 else -(-29 // rows))
    for name in whole.arrow.column_names:
        cells = [cell for _, piece in pieces for cell in piece.arrow.column(name).to_pylist()]
        assert cells == whole.arrow.column(name).to_pylist(), name
        assert all(piece.arrow.column(name).type == whole.arrow.column(name).type for _, piece in pieces), name
    assert tuple(bad for _, piece in pieces for bad in piece.bad_rows) == whole.bad_rows
    assert tuple(n for _, piece in pieces for n in piece.row_numbers or ()) == whole.row_numbers
    assert all(piece.readings[name] == whole.readings[name] for _, piece in pieces for name in whole.readings)
    place = len(pieces) // 2
    later = list(scanned.pieces(rows=rows, most_bytes=most_bytes, first=pieces[place][0], columns=["text"]))
    assert [(f, p.bad_rows, p.row_numbers) for f, p in later] == [
        (f, p.bad_rows, p.row_numbers) for f, p in pieces[place:]
    ]
    assert later[0][1].arrow.column_names == ["text"]


@pytest.mark.parametrize(
    "text",
    ["a\n1,5\n".replace(",", ";") * 1 + '"1,5"\n', "a\n\xff\n", "", "a\n"],
    ids=["decimal commas that training did not know", "another encoding", "empty", "no rows"],
)
def test_what_one_pass_cannot_tell_is_read_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="latin-1")
    if text.startswith("a\n1"):
        path.write_text('a,b\n"1,5",x\n', encoding="utf-8")
    assert scan_delimited(path, "x", {"a"}, TextReading(), None, ()) is None


def test_tsv_with_quotes_and_packed_files_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('a\tb\n"1\t2\n', encoding="utf-8")
    assert scan_delimited(path, "x", {"a"}, TextReading(), "\t", ()) is None
    path.write_text("a\tb\n" + "1\t2\n" * 300 + "\0\t2\n", encoding="utf-8")
    assert scan_delimited(path, "x", {"a"}, TextReading(), "\t", ()) is None
    assert can_be_scanned(path) and not can_be_scanned(tmp_path / "rows.csv.gz") and not can_be_scanned({"a": [1]})


@pytest.mark.parametrize(
    ("how", "cells"),
    [(TextReading(), ["1.1", "1.10"]), (TextReading(readings={"a": ColumnReading("whole")}), ["1.234", "2.500"])],
)
def test_the_same_warnings(tmp_path: Path, how: TextReading, cells: list[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{cell},x\n" for cell in cells), encoding="utf-8")
    told = []
    for read in (lambda: read_path(path, text=how), lambda: scan_delimited(path, str(path), {"a"}, how, None, ())):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read()
        told.append([str(one.message) for one in caught])
    assert told[0] == told[1] and len(told[0]) == 1
