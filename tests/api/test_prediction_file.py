"""Predictions written piece by piece: the same bytes as in one piece, whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from fixtures.lazy import lazy

PredictionFile = lazy("plait.api", "PredictionFile")

SCHEMA = pa.schema([("row", pa.int64()), ("id", pa.string()), ("p", pa.float64()), ("problem", pa.string())])


def rows(start: int, stop: int, problem: str | None = None) -> pa.Table:
    numbers = range(start, stop)
    columns = [list(numbers), [f"晴{i}🙂" for i in numbers], [i / 7 for i in numbers], [problem for _ in numbers]]
    return pa.table(columns, schema=SCHEMA)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_pieces_make_the_bytes_of_one(tmp_path: Path, suffix: str) -> None:
    whole, pieces = tmp_path / f"whole.{suffix}", tmp_path / "new" / f"pieces.{suffix}"
    PredictionFile(whole).write([rows(0, 9)])
    file = PredictionFile(pieces)
    file.write([rows(0, 4), rows(4, 5), rows(5, 9)])
    assert file.rows == 9 and whole.read_bytes() == pieces.read_bytes()
    assert [p.name for p in pieces.parent.iterdir()] == [pieces.name]
    if suffix == "csv":
        stream = io.BytesIO()
        pyarrow.csv.write_csv(rows(0, 9), stream)
        assert pieces.read_bytes() == stream.getvalue() and b"\r" not in stream.getvalue()
    if suffix == "jsonl":
        assert [json.loads(line)["id"] for line in pieces.read_text("utf-8").splitlines()] == [
            f"晴{i}🙂" for i in range(9)
        ]


def test_rows_are_written_before_the_last_is_asked_for(tmp_path: Path) -> None:
    seen: list[int] = []

    def asked() -> Iterator[pa.Table]:
        for i in range(3):
            yield rows(20_000 * i, 20_000 * (i + 1))
            seen.append((tmp_path / "a.csv.part").stat().st_size)

    PredictionFile(tmp_path / "a.csv").write(asked())
    assert 100_000 < seen[0] < seen[1] < seen[2]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_stopped_leaves_what_stood_there(tmp_path: Path, error: BaseException) -> None:
    output = tmp_path / "a.csv"
    output.write_text("old")

    def stopped() -> Iterator[pa.Table]:
        yield rows(0, 3)
        raise error

    file = PredictionFile(output, overwrite=True)
    with pytest.raises(type(error)):
        file.write(stopped())
    assert file.rows == 3 and output.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_problems_are_counted_and_the_first_kept() -> None:
    file = PredictionFile(io.BytesIO())
    file.write([rows(0, 3), rows(3, 6, "blank"), rows(6, 10, "gone")])
    assert (file.rows, file.problems) == (10, 7)
    assert file.first_problems == [(3, "blank"), (4, "blank"), (5, "blank"), (6, "gone"), (7, "gone")]


def test_formulas_in_csv_only(tmp_path: Path) -> None:
    table = pa.table({"row": [0], "=a": ["=1"], "problem": pa.array(["-x+1"], pa.string())})
    file = PredictionFile(tmp_path / "a.csv")
    file.write([table])
    assert file.escaped == 3 and (tmp_path / "a.csv").read_text() == '"row","\'=a","problem"\n0,"\'=1","\'-x+1"\n'
    file = PredictionFile(tmp_path / "b.csv", escape=False)
    file.write([table])
    assert file.escaped == 0 and (tmp_path / "b.csv").read_text() == '"row","=a","problem"\n0,"=1","-x+1"\n'
    PredictionFile(tmp_path / "a.parquet").write([table])
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").equals(table)
    PredictionFile(tmp_path / "a.jsonl").write([table])
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"row": 0, "=a": "=1", "problem": "-x+1"}


def test_byte_order_mark_and_lists(tmp_path: Path) -> None:
    table = pa.table({"row": [0, 1], "prediction": [["a", "b"], None], "problem": pa.array([None, None], pa.string())})
    PredictionFile(tmp_path / "a.csv", bom=True).write([table])
    assert (tmp_path / "a.csv").read_bytes() == b'\xef\xbb\xbf"row","prediction","problem"\n0,"a;b",\n1,,\n'
    with pytest.raises(ValueError, match="goes with .csv"):
        PredictionFile(tmp_path / "a.jsonl", bom=True)


def test_refused_places(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("old")
    with pytest.raises(ValueError, match="there.csv exists; type overwrite=True"):
        PredictionFile(tmp_path / "there.csv")
    with pytest.raises(ValueError, match=r"\.csv, \.parquet or \.jsonl, got .*a.txt"):
        PredictionFile(tmp_path / "a.txt")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.files.new_file_mode", lambda path: 0o644)  # it would remove what stands for the disk
    (tmp_path / f"a.{suffix}.part").symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"cannot write .*a\.\w+: No space left on device \(after "):
        PredictionFile(tmp_path / f"a.{suffix}").write([rows(0, 9), rows(9, 90_000)])
    assert not (tmp_path / f"a.{suffix}").exists()
