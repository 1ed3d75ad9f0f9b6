"""Tables as other libraries write them: every value is the one that was written, whatever the encoding.

Values and layouts are drawn by seed, so that a failure names the seed that shows it again.
"""

from __future__ import annotations

import csv
import datetime
import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures.lazy import lazy
from plait.data.readers.parsed import TextReading
from plait.data.table import read_table

pl = lazy("polars")

TYPES: dict[str, pa.DataType] = {
    "small": pa.int8(), "whole": pa.int64(), "unsigned": pa.uint64(), "float": pa.float64(), "truth": pa.bool_(),
    "text": pa.string(), "bytes": pa.binary(), "fixed": pa.binary(4), "decimal": pa.decimal128(18, 3),
    "date": pa.date32(), "moment": pa.timestamp("us"), "time": pa.time64("us"), "numbers": pa.list_(pa.int32()),
    "words": pa.list_(pa.string()), "nested": pa.list_(pa.list_(pa.int16())),
    "struct": pa.struct({"x": pa.int64(), "y": pa.string()}),
}  # fmt: skip
ENCODINGS = {
    "small": ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"], "whole": ["DELTA_BINARY_PACKED", "PLAIN"],
    "float": ["BYTE_STREAM_SPLIT", "PLAIN"], "text": ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"],
    "bytes": ["DELTA_BYTE_ARRAY", "PLAIN"], "fixed": ["DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"],
}  # fmt: skip
DAY = datetime.datetime(2000, 1, 1)


def value(kind: str, rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return None
    some = rng.randint(0, 4)
    made: dict[str, Any] = {
        "small": rng.randint(-128, 127), "whole": rng.randint(-(2**63), 2**63 - 1),
        "unsigned": rng.randint(0, 2**64 - 1),
        "float": rng.choice([rng.random(), float("inf"), 1e300, -0.5]), "truth": rng.random() < 0.5,
        "text": rng.choice(["", "a", "é中😀" * some, "x" * rng.randint(0, 900)]), "bytes": rng.randbytes(some),
        "fixed": rng.randbytes(4), "decimal": Decimal(rng.randint(-(10**9), 10**9)).scaleb(-3),
        "date": (DAY + datetime.timedelta(days=rng.randint(-50_000, 50_000))).date(),
        "moment": DAY + datetime.timedelta(seconds=rng.randint(-(10**8), 10**8)),
        "time": datetime.time(rng.randint(0, 23), 3, 4), "numbers": [rng.choice([None, 1, 2]) for _ in range(some)],
        "words": [rng.choice([None, "a", ""]) for _ in range(some)],
        "nested": [[rng.randint(0, 9)] * rng.randint(0, 2) for _ in range(some)],
        "struct": {"x": rng.choice([None, 1]), "y": rng.choice([None, "q"])},
    }  # fmt: skip
    return made[kind]


def drawn(rng: random.Random) -> pa.Table:
    rows = rng.choice([1, 2, 10, 300])
    kinds = rng.sample(list(TYPES), rng.randint(1, 5))
    return pa.table({kind: pa.array([value(kind, rng) for _ in range(rows)], TYPES[kind]) for kind in kinds})


@pytest.mark.parametrize("seed", range(40))
def test_parquet_of_pyarrow_in_every_encoding(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    table = drawn(rng)
    encoded: dict[str, Any] = {"use_dictionary": True}
    if rng.random() < 0.5:
        chosen = {kind: rng.choice(ENCODINGS[kind]) for kind in table.column_names if kind in ENCODINGS}
        encoded = {"use_dictionary": False, "column_encoding": chosen}
    pq.write_table(
        table, tmp_path / "t.parquet", compression=rng.choice(["zstd", "gzip", "brotli", "lz4", "snappy", "none"]),
        data_page_version=rng.choice(["1.0", "2.0"]), row_group_size=rng.choice([1, 7, 1000]),
        data_page_size=rng.choice([50, 1 << 20]), write_statistics=rng.random() < 0.5, store_schema=rng.random() < 0.5,
        use_deprecated_int96_timestamps=rng.random() < 0.3, write_page_index=rng.random() < 0.3,
        write_page_checksum=rng.random() < 0.3, **encoded,
    )  # fmt: skip
    read = read_table(tmp_path / "t.parquet").arrow
    assert read.column_names == table.column_names
    for name in table.column_names:
        assert (
            read[name].to_pylist() == pq.read_table(tmp_path / "t.parquet")[name].to_pylist() == table[name].to_pylist()
        )


@pytest.mark.parametrize("seed", range(10))
def test_parquet_of_polars(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    table = drawn(rng)
    codec = rng.choice(["zstd", "gzip", "brotli", "lz4", "snappy", "uncompressed"])
    pl.from_arrow(table).write_parquet(
        tmp_path / "t.parquet", compression=codec, row_group_size=rng.choice([None, 7]), data_page_size=100
    )
    read = read_table(tmp_path / "t.parquet").arrow
    assert [read[name].to_pylist() for name in table.column_names] == [c.to_pylist() for c in table.columns]


def test_parquet_with_empty_row_groups(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "t": ["x", None]})
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table, table.slice(0, 0), table):
            writer.write_table(part)
    assert read_table(tmp_path / "t.parquet").arrow.to_pylist() == table.to_pylist() * 2


LETTERS = [
    "a",
    "é",
    "中",
    "😀",
    ",",
    ";",
    "|",
    "\t",
    '"',
    "\n",
    "\r\n",
    "\r",
    " ",
    "'",
    "\u2028",
    "\x0b",
    "\x85",
    "\ufeff",
    "\\",
]


@pytest.mark.parametrize("seed", range(60))
def test_csv_as_python_writes_it(tmp_path: Path, seed: int) -> None:
    """Every delimiter, end of line, mark and quoting, with cells of what breaks readers."""
    rng = random.Random(seed)
    columns = rng.choice([1, 2, 5])
    rows = [
        ["a" + "".join(rng.choices(LETTERS, k=rng.randint(0, 6))) for _ in range(columns)]
        for _ in range(rng.randint(1, 30))
    ]
    out, end, delimiter = io.StringIO(newline=""), rng.choice(["\n", "\r\n"]), rng.choice([",", ";", "\t", "|"])
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([[f"c{i}" for i in range(columns)], *rows])
    text = rng.choice(["", "\ufeff"]) + (out.getvalue() if rng.random() < 0.7 else out.getvalue()[: -len(end)])
    (tmp_path / "t.csv").write_bytes(text.encode())
    read = read_table(tmp_path / "t.csv", text=TextReading(delimiter=delimiter)).arrow
    assert [list(row.values()) for row in read.to_pylist()] == rows


def test_a_tsv_of_one_column_keeps_quoted_lines_together(tmp_path: Path) -> None:
    """Each line had become a row, quotes and all."""
    (tmp_path / "t.tsv").write_text('text\n"two\nlines"\nplain\n', encoding="utf-8")
    assert read_table(tmp_path / "t.tsv").column("text") == ["two\nlines", "plain"]
