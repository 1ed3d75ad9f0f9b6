"""Tables that unpack to more than they may are refused before memory is gone, with the file and both numbers."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from plait.data.media import CellError
from plait.data.memory import available_memory
from plait.data.readers import formats
from plait.data.readers.budget import LIMIT_VARIABLE, Budget, TableTooLargeError
from plait.data.table import read_table
from plait.data.unpacked_size import unpacked_bytes
from plait.data.vectors import read_vector

LIMIT = 1_000_000
ZEROS = np.zeros(2 * LIMIT, np.uint8)
WORD = "a" * 20_000


def write(path: Path) -> Path:
    """A small file of the format that its name tells, which unpacks to two million bytes."""
    name = path.name
    if name.endswith(".npz"):
        np.savez_compressed(path, x=ZEROS[:LIMIT], y=ZEROS[:LIMIT])
    elif name == "words.parquet":
        pq.write_table(pa.table({"a": [WORD] * 100}), path)
    elif name == "lists.parquet":
        pq.write_table(pa.table({"a": [[WORD] * 10] * 10}), path)
    elif name == "numbers.parquet":
        pq.write_table(pa.table({"a": np.zeros(LIMIT // 4, np.int64)}), path)
    elif name == "prefixes.parquet":
        pq.write_table(pa.table({"a": [WORD + str(i) for i in range(100)]}), path, use_dictionary=False,
                       column_encoding={"a": "DELTA_BYTE_ARRAY"})  # fmt: skip
    elif name.endswith(".feather"):
        feather.write_feather(pa.table({"a": [WORD] * 100}), path, compression="zstd")
    elif name == "dictionary.arrow":
        made = pa.table({"a": pa.array([WORD] * 100).dictionary_encode()})
        with pa.ipc.new_file(path, made.schema) as sink:
            sink.write_table(made)
    elif name == "stream.arrow":
        made = pa.table({"a": [WORD] * 100})
        with pa.ipc.new_stream(path, made.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as sink:
            sink.write_table(made)
    elif name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(b"a,b\n" + (WORD.encode() + b",1\n") * 100))
    elif name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress((json.dumps({"a": WORD}).encode() + b"\n") * 100))
    else:
        path.write_text("a,b\n" + f"{WORD},1\n" * 100)
    return path


NAMES = ["x.npz", "words.parquet", "lists.parquet", "numbers.parquet", "prefixes.parquet", "x.feather",
         "dictionary.arrow", "stream.arrow", "x.csv.gz", "x.jsonl.gz", "x.csv"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_table_beyond_the_limit_is_refused_and_one_below_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = write(tmp_path / name)
    monkeypatch.setenv(LIMIT_VARIABLE, str(LIMIT))
    with pytest.raises(
        TableTooLargeError, match=rf"{name}.*the limit is 1,000,000, set by PLAIT_MAX_TABLE_BYTES\..*pandas"
    ):
        read_table(path)
    monkeypatch.setenv(LIMIT_VARIABLE, "4_000_000")
    assert len(read_table(path)) in (10, 100, LIMIT, LIMIT // 4)


@pytest.mark.parametrize("folder", ["saved", "shards"])
def test_the_parts_of_a_folder_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    if folder == "shards":
        for shard in range(3):
            pq.write_table(pa.table({"a": np.zeros(LIMIT // 18, np.int64)}), tmp_path / f"train-{shard}.parquet")
    else:
        names = [f"{shard}.arrow" for shard in range(3)]
        for name in names:
            made = pa.table({"a": np.zeros(LIMIT // 18, np.int64)})
            with pa.ipc.new_stream(tmp_path / name, made.schema) as sink:
                sink.write_table(made)
        (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    monkeypatch.setenv(LIMIT_VARIABLE, str(LIMIT))
    with pytest.raises(TableTooLargeError, match=r"unpacks to 1,33\d,\d\d\d bytes"):
        read_table(tmp_path)
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert len(read_table(tmp_path)) == 3 * (LIMIT // 18)


def test_bombs_are_refused_without_a_setting(tmp_path: Path) -> None:
    """In a process of its own that may take no more than 6 GiB of addresses, and takes far less memory."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (600 << 20,)})
        for _ in range(600):
            file.write(bytes(1 << 20))
    words = pa.array(["a" * 2000]).dictionary_encode()
    pointers = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400_000, np.int32)), words.dictionary)
    pq.write_table(pa.table({"a": pointers}), tmp_path / "bomb.parquet")
    code = (
        "import resource, sys\n"
        "from plait.data.table import read_table\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: read_table(path)\n"
        "    except ValueError as error: print(type(error).__name__, 'times its size on the disk' in str(error))\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 200)\n"
    )
    given = [str(tmp_path / "bomb.npz"), str(tmp_path / "bomb.parquet")]
    made = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, env={**os.environ})
    assert made.stdout.split() == ["TableTooLargeError", "True"] * 2 + ["True"], made.stderr


def test_a_header_that_claims_a_gigantic_shape_is_no_reason_to_take_memory(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    (tmp_path / "v.npy").write_bytes(out.getvalue() + bytes(64))
    with pytest.raises(CellError, match=r"'v.npy' claims 9,007,199,254,740,992 bytes and holds"):
        read_vector("v.npy", tmp_path)
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("x.npy", out.getvalue() + bytes(64))
    with pytest.raises(ValueError, match="x.npy claims 9,007,199,254,740,992 bytes and holds"):
        read_table(tmp_path / "t.npz")
    with pytest.raises(CellError, match="claims 9,007"):
        read_vector("t.npz", tmp_path)
    np.savez_compressed(tmp_path / "big.npz", x=np.zeros(300 << 20, np.uint8))
    with pytest.raises(CellError, match=r"unpacks to 314,572,800 bytes; the limit is 268,435,456"):
        read_vector("big.npz", tmp_path)


def test_memory_that_runs_out_is_never_a_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for error in (MemoryError(), pa.ArrowMemoryError("malloc of size 9 failed")):

        def fail(*_: object, given: BaseException = error) -> None:
            raise given

        monkeypatch.setattr(formats, "read_parquet", fail)
        with pytest.raises(MemoryError, match=r"a\.parquet: memory ran out .*too large for this machine, not broken"):
            read_table(tmp_path / "a.parquet")


def test_one_giant_cell_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.data.table.MAX_CELL_BYTES", 1000)
    with pytest.raises(
        TableTooLargeError, match=r"column 'a': row 1 holds a value of 20,000 bytes; the limit of a cell"
    ):
        read_table({"a": ["x", WORD]})


def test_text_that_takes_more_memory_than_is_free_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 500_000)
    monkeypatch.setattr("plait.data.readers.budget.available_memory", lambda: 80_000_000)
    with pytest.raises(TableTooLargeError, match=r"takes about 94,000,\d+ bytes of memory to read, and 80,000,000 are"):
        read_table(tmp_path / "a.csv")
    monkeypatch.setattr(formats, "MAX_CELL_BYTES", 1000)
    (tmp_path / "b.csv").write_text(f"a,b\n1,2\n{WORD},3\n")
    with pytest.raises(TableTooLargeError, match=r"b\.csv: line 3 has more than 1,000 bytes, the limit of a cell"):
        read_table(tmp_path / "b.csv")


@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of a process as Linux does")
def test_a_csv_is_never_held_as_a_string_of_python_for_each_cell(tmp_path: Path) -> None:
    """Which took 116 MB for these 800,000 cells; one column at a time takes 45."""
    with open(tmp_path / "a.csv", "w") as file:
        file.write(",".join(f"c{i}" for i in range(8)) + "\n")
        file.writelines(",".join(f"w{(row + i) % 97}" for i in range(8)) + "\n" for row in range(100_000))
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from plait.data.readers import formats\n"
        "def peak(): return int(re.search('VmHWM:\\s+([0-9]+)', Path('/proc/self/status').read_text())[1]) * 1024\n"
        "formats.read_path(Path(sys.argv[2]))\n"  # whatever is imported at the first table
        "before = peak()\n"
        "table = formats.read_path(Path(sys.argv[1])).arrow\n"
        "print(peak() - before, table.num_rows, table.column('c7')[99_999].as_py())\n"
    )
    given = [str(tmp_path / "a.csv"), str(write(tmp_path / "few.csv"))]
    made = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True)
    taken, *rest = made.stdout.split()
    assert int(taken) < 75_000_000 and rest == ["100000", f"w{(99_999 + 7) % 97}"], made


def test_what_a_dictionary_unpacks_to_is_counted_in_every_nesting() -> None:
    words = pa.array(["abcd", None, "abcd"]).dictionary_encode()
    assert unpacked_bytes(words) == 8 + 3 * 8
    assert unpacked_bytes(pa.array([["abcd"], []], pa.list_(words.type))) == 4 + 8 + 2 * 8
    assert unpacked_bytes(pa.StructArray.from_arrays([words], ["a"])) == 8 + 3 * 8
    assert unpacked_bytes(pa.RunEndEncodedArray.from_arrays([1000], ["abcd"])) == 4000 + 8000


def test_json_nested_without_end_is_a_sentence(tmp_path: Path) -> None:
    for depth in (150, 600, 5_000):
        (tmp_path / "a.json").write_text('[{"a": ' + "[" * depth + "]" * depth + "}]")
        try:
            read_table(tmp_path / "a.json")
        except ValueError as error:
            assert "nested too deeply" in str(error)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": ' + "[" * 5_000 + "]" * 5_000 + "}\n")
    table = read_table(tmp_path / "a.jsonl")
    assert table.column("a") == [1] and "nested too deeply" in table.bad_rows[0].reason


def test_the_limit_must_be_a_number_and_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_memory() >= 2**26
    monkeypatch.setenv(LIMIT_VARIABLE, "8GB")
    with pytest.raises(ValueError, match="expected a number of bytes such as 8000000000"):
        Budget.of("a.csv", 10)
