"""From a path to parsed rows: which reader a file or folder needs, and what to say when it is broken.

Text files are decoded as UTF-8 (with or without a mark), or UTF-16 and UTF-32 where a mark says so. Text
that is Chinese GB18030 beyond doubt is read with a warning; every other encoding must be named by the
user.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.columns import from_records
from plait.data.readers.arrays import read_npz
from plait.data.readers.arrow_file import read_arrow_file
from plait.data.readers.budget import MAX_CELL_BYTES, Budget, TableTooLargeError, require_memory, too_large_for_memory
from plait.data.readers.delimited import read_delimited
from plait.data.readers.folders import read_folder
from plait.data.readers.parquet import read_parquet
from plait.data.readers.parsed import BadRow, Parsed, TextReading
from plait.files import require_regular_file

_TEXT = ("csv", "tsv", "json", "jsonl", "ndjson")
_BINARY = ("parquet", "arrow", "feather", "ipc", "npz")
_BLOCK = 1 << 20
_COPIES, _CELL = 7, 100  # of JSON; these and those below were measured on files of short numbers and of long texts
_ROW_OF_COLUMN, _FIELD = 120, 24  # of CSV, which holds one column at a time as objects of Python
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4]")  # a letter of UTF-8 beyond 16 bits makes each letter of its text take four
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def read_path(
    path: Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    columns: Sequence[str] = (),
    text: TextReading | None = None,
) -> Parsed:
    """Read a file or folder.

    Args:
        path: The file or folder.
        format: Format of a file whose name does not tell it.
        encoding: Encoding of a text file.
        columns: Names of the columns of a CSV or TSV file without a header line.
        text: How the text of a CSV or TSV file is cut and read.

    Raises:
        FileNotFoundError: No such path.
        ValueError: An unknown format, or a file that is broken as a whole.
    """
    with readable(path):
        if path.is_dir():
            _no_names(path, columns)
            return Parsed(read_folder(path))
        size = require_regular_file(path, "table").st_size
        kind = format_of(path, format)
        if kind not in ("csv", "tsv"):
            _no_names(path, columns)
        if kind in _TEXT:
            return _read_text(path, kind, encoding, columns, text or TextReading())
        if kind not in _BINARY:
            known = ", ".join((*_TEXT, *_BINARY))
            raise ValueError(
                f"{path}: cannot read a table of the format {kind!r}; expected one of {known}, or name one with format="
            )
        if size == 0:
            raise ValueError(f"{path}: the file is empty (0 bytes)")
        if kind == "npz":
            return Parsed(read_npz(path))
        budget = Budget.of(path, size)
        return Parsed(read_parquet(path, budget) if kind == "parquet" else read_arrow_file(path, budget))


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what libraries raise while a file is read into one sentence that names it.

    Raises:
        MemoryError: Memory ran out.
        FileNotFoundError: No such path.
        ValueError: It is broken, or cannot be read.
    """
    try:
        yield
    except MemoryError as error:  # before Arrow's errors: its own of this kind is one of them
        raise too_large_for_memory(path) from error
    except pa.ArrowException as error:
        raise ValueError(f"{path}: the file is broken or of another format ({_short(error)})") from error
    except (FileNotFoundError, ValueError):
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({_short(error)})") from error


def format_of(path: Path, format: str | None = None) -> str:
    """The format of a file: the one that is named, else the ending of its name, without ``.gz``."""
    return format.lower().lstrip(".") if format is not None else _kind_of(path)


def _kind_of(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".gz"):
        name = name[:-3]
    return Path(name).suffix.lstrip(".")


def _no_names(path: Path, columns: Sequence[str]) -> None:
    if columns:
        raise ValueError(f"{path}: column names can be given for a CSV or TSV file without a header line only")


def _read_text(path: Path, kind: str, encoding: str | None, columns: Sequence[str], how: TextReading) -> Parsed:
    data = _read_bytes(path)
    if kind != "json":
        _refuse_endless_line(data, path)
    require_memory(path, _memory_of_text(data, kind))
    text = decode_text(data, str(path), encoding)
    del data
    if kind in ("csv", "tsv"):
        delimiter = how.delimiter or ("\t" if kind == "tsv" else None)
        return read_delimited(text, str(path), delimiter, columns, how=how)
    if not text.strip():
        raise ValueError(f"{path}: the file is empty")
    if kind == "json":
        return Parsed(_read_json(text, str(path)))
    return read_json_lines(text, str(path))


def _read_bytes(path: Path) -> bytes | bytearray:
    """The bytes of a text file, unpacked where they are packed, and counted meanwhile."""
    budget = Budget.of(path, path.stat().st_size, is_text=True)
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    if not is_packed:
        budget.take(budget.packed)
        return path.read_bytes()
    data = bytearray()
    with gzip.open(path) as unpacked:
        while block := unpacked.read(_BLOCK):
            budget.take(len(block))
            data += block
    return data


def _memory_of_text(data: bytes | bytearray, kind: str) -> int:
    """About how many bytes a text file takes while it is read: its letters, and objects of Python for its cells."""
    rows = data.count(b"\n")
    cells = rows + max(data.count(mark) for mark in (b",", b";", b"\t", b"|"))
    if kind not in ("csv", "tsv"):
        return _COPIES * len(data) + _CELL * cells
    letter = 4 if _FOUR_BYTES.search(data) else 1
    return (3 + 2 * letter) * len(data) + _ROW_OF_COLUMN * rows + _FIELD * cells


def _refuse_endless_line(data: bytes | bytearray, path: Path) -> None:
    """Refuse a line that is longer than a cell may be, before any more memory is taken for it.

    Raises:
        TableTooLargeError: There is such a line.
    """
    start = 0
    while len(data) - start > MAX_CELL_BYTES:
        end = data.rfind(b"\n", start, start + MAX_CELL_BYTES)
        if end < 0:
            line = data.count(b"\n", 0, start) + 1
            raise TableTooLargeError(
                f"{path}: line {line} has more than {MAX_CELL_BYTES:,} bytes, the limit of a cell; put contents of "
                "that size into files and write their paths into the table"
            )
        start = end + 1


def decode_text(data: bytes | bytearray, source: str, encoding: str | None) -> str:
    """Bytes of a text file as text.

    Raises:
        ValueError: Not in that encoding, or in none that can be found; the message says what to type.
    """
    if encoding is None:
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\x00" in data:
        raise ValueError(f"{source}: {_about_nul(data)}")
    try:
        return data.decode(encoding or "utf-8")
    except LookupError as error:
        raise ValueError(f"unknown encoding {encoding!r} (encoding=); expected one such as utf-8 or gb18030") from error
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ValueError(f"{source}: not valid {encoding} (byte {error.start})") from error
        other = _east_asian(data)
        if other is not None:
            raise ValueError(
                f"{source}: not UTF-8; it reads like {other[0]}. Save it as UTF-8, or pass encoding={other[1]!r}"
            ) from error
        if not _is_chinese(data):
            raise ValueError(
                f"{source}: not UTF-8 (byte {error.start} is {data[error.start]:#04x}); save it as UTF-8, or "
                'name its encoding, such as encoding="cp1252" (Western) or encoding="gb18030" (Chinese)'
            ) from error
    warnings.warn(
        f'{source}: not UTF-8; read as Chinese GB18030. Pass encoding="gb18030" or save it as UTF-8',
        UserWarning,
        stacklevel=5,
    )
    return data.decode("gb18030")


def _about_nul(data: bytes | bytearray) -> str:
    """What NUL bytes, which no text holds, say of a file: UTF-16 (every other byte is one), or no text."""
    start, place = data[:4096], data.find(b"\x00")
    halves = start[::2].count(0), start[1::2].count(0)
    if max(halves) >= 0.1 * len(start) / 2 and min(halves) <= 0.1 * max(halves):
        name = "utf-16-be" if halves[0] > halves[1] else "utf-16-le"
        return f"UTF-16 without its mark, or no text file; if it is text, pass encoding={name!r}"
    line = data.count(b"\n", 0, place) + 1
    return f"no text file, or a broken one: line {line} (byte {place}) holds a NUL byte; take it out or save it anew"


def _east_asian(data: bytes | bytearray) -> tuple[str, str] | None:
    """Japanese or Korean, whose bytes pass for Chinese too, and the name of its encoding.

    Chinese text read as Korean is full of Chinese letters, Korean text is not; Chinese text has no kana.
    """
    for language, encoding, first, last in (
        ("Korean", "euc-kr", "\uac00", "\ud7a3"),
        ("Japanese", "euc-jp", "\u3041", "\u30fe"),
    ):
        try:
            foreign = [c for c in data.decode(encoding) if ord(c) > 127 and c.isalpha()]
        except UnicodeDecodeError:
            continue
        own = sum(first <= c <= last for c in foreign)
        if foreign and own >= (0.9 if language == "Korean" else 0.1) * len(foreign):
            return language, encoding
    return None


def _is_chinese(data: bytes | bytearray) -> bool:
    """Whether bytes are GB18030 beyond doubt: valid, and nearly all foreign letters are of the old GB2312."""
    try:
        foreign = [c for c in data.decode("gb18030") if ord(c) > 127]
    except UnicodeDecodeError:
        return False
    common = sum(1 for c in foreign if _is_gb2312(c))
    return len(foreign) >= 2 and common >= 0.95 * len(foreign)


def _is_gb2312(letter: str) -> bool:
    try:
        return len(letter.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False


def read_json_lines(text: str, source: str) -> Parsed:
    """One JSON object a line; a line that is none is set aside with its number."""
    kept: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    for row, line in enumerate(text.rstrip().split("\n")):
        try:
            if not line.strip():
                raise ValueError("a blank line")
            record = parse_json(line)
            if not isinstance(record, dict):
                raise ValueError(f"a {type(record).__name__}; expected an object in braces")
        except ValueError as error:
            bad.append(BadRow(row, None, f"{error} (line {row + 1})"))
            continue
        kept.append(record)
        numbers.append(row)
    if not kept:
        raise ValueError(f"{source}: no line holds a JSON object; line 1: {bad[0].reason}")
    return Parsed(from_records(kept, source), tuple(bad), tuple(numbers) if bad else None)


def _read_json(text: str, source: str) -> pa.Table:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    if not isinstance(content, list):
        keys = f" with the keys {', '.join(list(content)[:8])}" if isinstance(content, dict) else ""
        raise ValueError(
            f"{source}: holds a {type(content).__name__}{keys}; expected a list of objects "
            "(COCO files are read with format='coco')"
        )
    return from_records(content, source)


def parse_json(text: str) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: Broken JSON, a name twice in one object, or nesting without end.
    """
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error})") from error
    except RecursionError as error:
        raise ValueError("broken JSON (nested too deeply)") from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object names {sorted({n for n in names if names.count(n) > 1})} more than once")
    return made


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
