"""Parquet files whose metadata or page headers lie are held to what decoding them would take."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data.readers.budget import LIMIT_VARIABLE, TableTooLargeError
from plait.data.readers.parquet_pages import read_pages
from plait.data.table import read_table


def number(value: int, length: int = 0) -> bytes:
    """A number as Thrift writes it, padded to so many bytes."""
    left, made = value << 1 ^ (value >> 63), bytearray()
    while left > 127 or len(made) + 1 < length:
        made.append(left & 127 | 128)
        left >>= 7
    return bytes([*made, left])


def written(column: pa.Array, **how: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": column}), out, compression="zstd", write_statistics=False, store_schema=False, **how)
    return out.getvalue()


def with_lie(data: bytes, told: int, lie: int, *, in_header: bool) -> bytes:
    """A number told in the metadata, or in the header of the first page, replaced."""
    edge = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    header, metadata = data[:edge], data[edge:]
    true, false = number(told), number(lie, len(number(told)))
    assert len(true) == len(false)
    part = header if in_header else metadata
    assert true in part
    changed = part.replace(true, false, 1 if in_header else -1)
    return changed + metadata if in_header else header + changed


WORD = pa.array(["a" * 3_000_000])
LIST = pa.array([[0] * 2_000_000])


def test_the_pages_of_an_honest_file_say_what_the_metadata_say() -> None:
    for data, points in ((written(WORD, use_dictionary=False), False), (written(LIST, data_page_version="2.0"), True)):
        chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
        pages = read_pages(io.BytesIO(data), chunk, len(data))
        assert pages.values == chunk.num_values and pages.points is points and not pages.repeats_prefixes
        assert 0 <= chunk.total_uncompressed_size - pages.unpacked < 200  # the headers themselves


@pytest.mark.parametrize("kind", ["bytes", "values"])
def test_metadata_that_understate_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Both files had been read whole under this limit."""
    data = written(WORD, use_dictionary=False) if kind == "bytes" else written(LIST)
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    told = chunk.total_uncompressed_size if kind == "bytes" else chunk.num_values
    (tmp_path / "a.parquet").write_bytes(with_lie(data, told, 1, in_header=False))
    assert pq.read_table(tmp_path / "a.parquet").nbytes > 3_000_000
    monkeypatch.setenv(LIMIT_VARIABLE, "1_000_000")
    with pytest.raises(TableTooLargeError, match=r"a\.parquet: unpacks to (3|16),\d\d\d,\d\d\d bytes or more \(column"):
        read_table(tmp_path / "a.parquet")
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert len(read_table(tmp_path / "a.parquet")) == 1


@pytest.mark.parametrize("lie", [100_000_000, -1, 1])
def test_a_page_header_that_lies_of_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: int
) -> None:
    data = written(WORD, use_dictionary=False)
    chunk = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    told = read_pages(io.BytesIO(data), chunk, len(data)).unpacked
    (tmp_path / "a.parquet").write_bytes(with_lie(data, told, lie, in_header=True))
    monkeypatch.setenv(LIMIT_VARIABLE, "10_000_000")
    expected = "unpacks to 100,000,0" if lie > 1 else "a.parquet: (the file is broken|cannot be read)"
    with pytest.raises(ValueError, match=expected):
        read_table(tmp_path / "a.parquet")


def test_what_decoding_gives_is_counted_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the counting beforehand missed ends at the part that passes the limit."""
    from plait.data.readers import parquet

    pq.write_table(pa.table({"a": [f"{i:01000}" for i in range(4000)]}), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "_take", lambda *given: None)
    monkeypatch.setattr(parquet, "_MOST_ROWS", 100)
    monkeypatch.setenv(LIMIT_VARIABLE, "1_000_000")
    with pytest.raises(TableTooLargeError, match=r"unpacks to 1,0\d\d,\d\d\d bytes or more"):
        read_table(tmp_path / "a.parquet")


def test_broken_headers_are_broken_files(tmp_path: Path) -> None:
    data = bytearray(written(WORD, use_dictionary=False))
    for place, byte in ((4, 0xFF), (4, 0x00), (5, 0xFF)):
        broken = bytearray(data)
        broken[place] = byte
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(ValueError, match=r"a\.parquet: the file is broken"):
            read_table(tmp_path / "a.parquet")
