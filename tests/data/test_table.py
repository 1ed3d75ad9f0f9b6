"""Tables from every source, with hostile files: no value shifts, no row vanishes uncounted."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from fixtures.lazy import lazy
from plait.data.table import BadRow, Table, read_table

pl = lazy("polars")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_types(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "n,x,zip,phone,flag,t,huge\n1,1.5,00501,+44,True,a,99999999999999999999\n"
                 "-2,nan,10001,+45,false,NA,1\n,2e3,1,+46,,,2\n")  # fmt: skip
    table = read_table(path)
    assert table.column("n") == [1, -2, None]
    assert table.column("x") == [1.5, None, 2000.0]
    assert table.column("zip") == ["00501", "10001", "1"]
    assert table.column("phone") == ["+44", "+45", "+46"]
    assert table.column("flag") == [True, False, None]
    assert table.column("t") == ["a", "NA", None]
    assert table.column("huge") == ["99999999999999999999", "1", "2"]
    assert table.root == tmp_path and table.bad_rows == () and table.row_numbers is None


def test_csv_quoted_newlines_and_row_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'a,b\n"x\ny",1\nshort\nu,2,3\n"say ""hi""",4\n\nz,5\n\n\n')
    table = read_table(path)
    assert table.column("a") == ["x\ny", 'say "hi"', "z"]
    assert table.column("b") == [1, 4, 5]
    assert [(bad.row, bad.column) for bad in table.bad_rows] == [(1, None), (2, None), (4, None)]
    assert table.row_numbers == (0, 3, 5)
    assert [table.row_number(i) for i in range(3)] == [0, 3, 5]
    assert "3 fields where the header has 2 (line 5)" in table.bad_rows[1].reason


def test_csv_broken_quotes_cost_one_row(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", 'a,b\n"x"y,1\nz,2\n'))
    assert table.column("a") == ["z"] and table.bad_rows[0].row == 0 and table.row_numbers == (1,)


def test_csv_unclosed_quote_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"quote opened in row 1 \(line 3\) is never closed"):
        read_table(write(tmp_path, "a.csv", 'a,b\nx,1\n"z,2\ny,3\n'))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_csv_encodings_that_say_so(tmp_path: Path, encoding: str) -> None:
    table = read_table(write(tmp_path, "a.csv", "名,b\n狗é,1\n".encode(encoding)))
    assert table.column("名") == ["狗é"]


def test_csv_chinese_is_read_with_a_warning_and_latin_refused(tmp_path: Path) -> None:
    chinese = write(tmp_path, "zh.csv", "文本,标签\n这是一只狗在草地上,好\n".encode("gb18030"))
    with pytest.warns(UserWarning, match="GB18030"):
        assert read_table(chinese).column("文本") == ["这是一只狗在草地上"]
    assert read_table(chinese, encoding="gb18030").column("标签") == ["好"]
    latin = write(tmp_path, "fr.csv", "a,b\nété à Orléans,1\n".encode("cp1252"))
    with pytest.raises(ValueError, match='encoding="cp1252"'):
        read_table(latin)
    assert read_table(latin, encoding="cp1252").column("a") == ["été à Orléans"]
    with pytest.raises(ValueError, match="unknown encoding"):
        read_table(latin, encoding="nonsense")


def test_csv_separators_gz_and_index_column(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a.csv", "a;b\n1,5;x\n")).column("a") == [1.5]
    assert read_table(write(tmp_path, "b.tsv", "a\tb\n1\tx,y\n")).column("b") == ["x,y"]
    assert read_table(write(tmp_path, "c.csv.gz", gzip.compress(b"a\n1\n"))).column("a") == [1]
    assert read_table(write(tmp_path, "d.csv", ",a\n0,x\n1,y\n")).column_names == ["unnamed_0", "a"]
    assert read_table(write(tmp_path, "e.txt", "a\n1\n\n3\n"), format="csv").column("a") == [1, None, 3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "\n \n", "empty"),
        ("a.csv", "a,b\n", "no rows"),
        ("a.csv", "a,a\n1,2\n", "more than once"),
        ("a.csv", "a,b\n1\n2\n", "no rows that can be read; row 0"),
        ("a.csv", b"\x00\x01\x02", "no text file"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", "cannot be read"),
        ("a.json", "{}", "expected a list of objects"),
        ("a.json", "[1]", "row 0 is int"),
        ("a.json", "[", "broken JSON"),
        ("a.json", "[" * 100_000, "broken JSON"),
        ("a.json", "[]", "no columns"),
        ("a.json", '[{"a": 1}, {"a": "x"}]', "row 0 holds int and row 1 holds str"),
        ("a.json", '[{"a": 1, "a": 2}]', "more than once"),
        ("a.json", '[{"a": 99999999999999999999}]', "beyond 64 bits"),
        ("a.jsonl", "nonsense\n", "no line holds"),
        ("a.parquet", b"", "empty"),
        ("a.parquet", b"PAR1 nonsense PAR1", "broken"),
        ("a.arrow", b"ARROW1 nonsense", "broken"),
        ("a.arrow", b"nonsense", "broken|cannot be read"),
        ("a.xlsx", b"PK", "expected one of csv"),
    ],
)
def test_broken_files_say_so(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path, name, content))


def test_missing_path_and_wrong_sources(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such table"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="format='coco'"):
        read_table(tmp_path)
    with pytest.raises(TypeError, match=r"\.collect\(\)"):
        read_table(pl.LazyFrame({"a": [1]}))
    for wrong in (3, None, object()):
        with pytest.raises(TypeError, match="cannot read a table"):
            read_table(wrong)
    with pytest.raises(ValueError, match="different lengths"):
        read_table({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="list of values"):
        read_table({"a": "text"})
    with pytest.raises(ValueError, match="no columns"):
        read_table([])
    with pytest.raises(ValueError, match="for files"):
        read_table({"a": [1]}, format="csv")


def test_json_lines_keep_numbers_of_good_rows(tmp_path: Path) -> None:
    lines = '{"a": 1}\n\n[2]\n{"a": 3, "b": "x"}\n{"a": \n\n'
    table = read_table(write(tmp_path, "a.jsonl", lines))
    assert table.column("a") == [1, 3] and table.column("b") == [None, "x"]
    assert table.row_numbers == (0, 3) and [bad.row for bad in table.bad_rows] == [1, 2, 4]


def test_binary_files_round_trip(tmp_path: Path) -> None:
    arrow = pa.table({"a": [1.0, float("nan"), None], "b": pa.array(["x", "y", "x"]).dictionary_encode()})
    pq.write_table(arrow, tmp_path / "a.parquet")
    feather.write_feather(arrow, tmp_path / "a.feather")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    for suffix in ("parquet", "feather", "arrow"):
        table = read_table(tmp_path / f"a.{suffix}")
        assert table.column("a") == [1.0, None, None] and table.column("b") == ["x", "y", "x"]


def test_data_frames() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    kept = read_table(frame[frame["a"] > 1])
    assert kept.column_names == ["a", "b"] and kept.column("b") == [None, "z"]
    assert read_table(frame.set_index("a")).column("a") == [1, 2, 3]
    assert read_table(pl.DataFrame({"a": [1.0, float("nan")], "b": ["x", None]})).column("a") == [1.0, None]
    assert read_table(pa.table({"a": [1]})).column("a") == [1]
    assert read_table([{"a": 1}, {"b": Path("p.jpg")}]).column("b") == [None, "p.jpg"]
    with pytest.raises(ValueError, match=r"column 'a': row 0 holds int and row 1 holds str"):
        read_table(pd.DataFrame({"a": [1, "x"]}))


def save_like_datasets(folder: Path, rows: dict[str, list[object]]) -> None:
    folder.mkdir()
    info = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    arrow = pa.table(rows).replace_schema_metadata({"huggingface": json.dumps(info)})
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink:
        with pa.ipc.new_stream(sink, arrow.schema) as writer:
            writer.write_table(arrow)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_saved_dataset_folders(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    save_like_datasets(whole / "train", {"text": ["a", "b"], "label": [0, 1]})
    save_like_datasets(whole / "test", {"text": ["c"], "label": [-1]})
    (whole / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    table = read_table(whole)
    assert table.column("label") == ["cat", "dog", None] and table.column("split") == [
        "train",
        "train",
        "test",
    ]
    assert table.root == whole and read_table(whole / "train").column("text") == ["a", "b"]
    (whole / "dataset_dict.json").write_text('{"splits": ["../whole"]}')
    with pytest.raises(ValueError, match="plain file name"):
        read_table(whole)
    (whole / "train" / "state.json").write_text('{"_data_files": [{"filename": "gone.arrow"}]}')
    with pytest.raises(ValueError, match="missing"):
        read_table(whole / "train")


def test_real_datasets_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="extra dev")
    made = datasets.Dataset.from_dict({"text": ["a", "b"]})
    assert read_table(made).column("text") == ["a", "b"]
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "d"))
    assert read_table(tmp_path / "d").column("split") == ["train", "train", "test", "test"]


def test_parquet_shards(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, values in (
        ("train-00000-of-00002", [1]),
        ("train-00001-of-00002", [2]),
        ("test-00000-of-00001", [3]),
    ):
        pq.write_table(pa.table({"a": values}), tmp_path / "data" / f"{name}.parquet")
    table = read_table(tmp_path)
    assert sorted(zip(table.column("a"), table.column("split"), strict=True)) == [
        (1, "train"),
        (2, "train"),
        (3, "test"),
    ]
    pq.write_table(pa.table({"b": [1]}), tmp_path / "data" / "extra.parquet")
    with pytest.raises(ValueError, match="move the others away"):
        read_table(tmp_path)


def test_take_and_with_column() -> None:
    table = read_table({"a": [10, 20, 30]})
    part = table.take([2, 0]).take(np.array([0]))
    assert part.column("a") == [30] and part.row_number(0) == 2
    assert len(table.take([])) == 0
    for wrong in ([3], [-1]):
        with pytest.raises(IndexError):
            table.take(wrong)
    with pytest.raises(TypeError, match="flatnonzero"):
        table.take(np.array([True, False, True]))
    assert table.with_column("a", ["x", None, "z"]).column("a") == ["x", None, "z"]
    assert table.with_column("b", (1, 2, 3)).column_names == ["a", "b"]
    with pytest.raises(ValueError, match="2 values for 3 rows"):
        table.with_column("b", [1, 2])
    with pytest.raises(ValueError, match="Did you mean 'a'"):
        read_table({"a": [1]}).column("aa")
    with pytest.raises(ValueError, match="row_numbers"):
        Table(table.arrow, None, "t", (), (1,))
    assert read_table(table) is table


def test_fuzzed_csv_counts_every_row(tmp_path: Path) -> None:
    """Random bytes never give a traceback of another kind, and each record is either kept or listed."""
    rng = random.Random(0)
    alphabet = [
        *["a", "1", ",", ",", "\n", "\n"] * 4,
        '"',
        " ",
        ";",
        "\t",
        "\r\n",
        "é",
        "\x00",
        "狗",
        "0.5",
        "nan",
    ]
    read = 0
    for trial in range(400):
        text = "id,t\n" + "".join(rng.choices(alphabet, k=rng.randrange(60)))
        path = write(tmp_path, f"{trial}.csv", text)
        try:
            table = read_table(path)
        except ValueError as error:
            assert str(error)
            continue
        read += 1
        numbers = [table.row_number(i) for i in range(len(table))] + [bad.row for bad in table.bad_rows]
        assert sorted(numbers) == list(range(len(numbers)))
    assert read > 100


def test_rows_keep_their_own_values_in_a_broken_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines, good = [], {}
    for row in range(300):
        if rng.random() < 0.2:
            lines.append(rng.choice(["only", "a,b,c,d", '"x"y,1,2', ""]) if row < 299 else "only")
        else:
            lines.append(f"text {row},{row},{row * 2}")
            good[row] = row
    table = read_table(write(tmp_path, "a.csv", "t,a,b\n" + "\n".join(lines) + "\n"))
    assert {table.row_number(i): a for i, a in enumerate(table.column("a"))} == good
    assert len(table) + len(table.bad_rows) == 300
    assert all(isinstance(bad, BadRow) for bad in table.bad_rows)
