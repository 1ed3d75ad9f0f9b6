"""A Parquet file read piece by piece: the same columns, types and values as in one piece, wherever it begins."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data.readers.budget import LIMIT_VARIABLE, TableTooLargeError
from plait.data.table import read_table
from plait.data.table_pieces import can_be_pieced, head_of, table_pieces

ROWS = 53
GROUPS = [1, 7, 20, 53]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Columns of many types; every fifth cell is missing."""
    names = ["up", "down"]
    cells = {
        "whole": list(range(ROWS)),
        "real": [i / 3 if i % 4 else float("nan") for i in range(ROWS)],
        "text": [f"text {i}" for i in range(ROWS)],
        "truth": [i % 3 == 0 for i in range(ROWS)],
        "when": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(ROWS)],
        "money": [Decimal(i) / 4 for i in range(ROWS)],
        "list": [[i, i + 1] for i in range(ROWS)],
        "class": [i % 2 for i in range(ROWS)],
    }
    holed = {name: [None if i % 5 == 2 else v for i, v in enumerate(values)] for name, values in cells.items()}
    table = pa.table(holed).append_column("few", pa.array([f"k{i % 3}" for i in range(ROWS)]).dictionary_encode())
    features = {"class": {"_type": "ClassLabel", "names": names}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=11)
    return path


@pytest.mark.parametrize("rows", GROUPS)
@pytest.mark.parametrize("most_bytes", [1, 1 << 30])
def test_pieces_are_the_whole(file: Path, rows: int, most_bytes: int) -> None:
    whole, (schema, count) = read_table(file), head_of(file)
    pieces = list(table_pieces(file, source="x", columns=schema.names, rows=rows, most_bytes=most_bytes))
    assert count == ROWS and all(len(piece) <= rows for piece in pieces)
    assert (len(pieces) == -(-ROWS // rows)) if most_bytes > 1 else (len(pieces) >= 5)
    assert all(piece.arrow.schema.equals(whole.arrow.schema) for piece in pieces)
    for name in whole.column_names:
        assert [cell for piece in pieces for cell in piece.column(name)] == whole.column(name), name
    assert [n for piece in pieces for n in piece.row_numbers or ()] == list(range(ROWS))
    begin = pieces[1].row_number(0) if len(pieces) > 1 else 0
    later = list(table_pieces(file, source="x", columns=["whole"], rows=rows, most_bytes=most_bytes, first=begin))
    assert [piece.row_number(0) for piece in later] == [piece.row_number(0) for piece in pieces[len(pieces) > 1 :]]
    assert [n for piece in later for n in piece.column("whole")] == whole.column("whole")[begin:]
    assert later[0].column_names == ["whole"]


def test_only_parquet_is_read_so(tmp_path: Path) -> None:
    assert can_be_pieced("a.parquet") and can_be_pieced("a", "parquet")
    assert not any(map(can_be_pieced, ["a.csv", "a.jsonl", tmp_path, {"a": [1]}]))


def test_refused_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="no rows that can be read"):
        head_of(tmp_path / "empty.parquet")
    (tmp_path / "none.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="the file is empty"):
        head_of(tmp_path / "none.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(ValueError, match="broken or of another format"):
        head_of(tmp_path / "broken.parquet")
    with pytest.raises(FileNotFoundError, match="no such table"):
        head_of(tmp_path / "gone.parquet")


def test_the_limit_holds_for_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": ["x" * 1000] * 400}), tmp_path / "a.parquet", row_group_size=100)
    monkeypatch.setenv(LIMIT_VARIABLE, "150000")
    with pytest.raises(TableTooLargeError):
        read_table(tmp_path / "a.parquet")
    given = {"source": "x", "columns": ["a"], "rows": 50, "most_bytes": 1 << 20}
    assert sum(len(piece) for piece in table_pieces(tmp_path / "a.parquet", **given)) == 400
    monkeypatch.setenv(LIMIT_VARIABLE, "50000")
    with pytest.raises(TableTooLargeError):
        list(table_pieces(tmp_path / "a.parquet", **given))


def test_a_bad_value_names_its_rows(file: Path) -> None:
    table = pq.read_table(file)
    odd = table.set_column(table.column_names.index("class"), "class", pa.array([0] * (ROWS - 1) + [7]))
    pq.write_table(odd.replace_schema_metadata(table.schema.metadata), file)
    pieces = table_pieces(file, source="x", columns=["class"], rows=20, most_bytes=1 << 20)
    with pytest.raises(ValueError, match="rows 40 to 52, numbered from 0 here"):
        list(pieces)
