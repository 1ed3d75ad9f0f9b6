"""The content of every text, image, sound and vector cell as a hash, and what is wrong with cells that have none.

Media are read, hashed and decoded once for each different cell, in a few threads (decoding frees the lock). The
hashes serve the search for duplicates and leakage; the faults are the missing files, the broken media and the
vectors that cannot be used.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.data.imageset import read_image_set
from plait.data.media import CellError, check_image, content_key, read_media
from plait.data.schema import Schema
from plait.data.sound import decode_sound, find_sound, sound_key
from plait.data.table import Table
from plait.data.vectors import read_vector


@dataclass(frozen=True)
class Contents:
    """Hashes and faults of the inputs.

    Attributes:
        keys: For each column of texts, media or vectors the hash of each cell; None where there is no content.
        unread: (position, column, reason) of cells whose bytes cannot be had: missing files, addresses.
        broken: (position, column, reason) of bytes that are no image or sound, and of unusable vectors.
        absent: Column -> positions of empty cells of media and vectors.
        blank: Column -> positions of missing or blank texts.
    """

    keys: dict[str, list[str | None]] = field(default_factory=dict)
    unread: list[tuple[int, str, str]] = field(default_factory=list)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    absent: dict[str, list[int]] = field(default_factory=dict)
    blank: dict[str, list[int]] = field(default_factory=dict)


def text_key(text: str) -> str:
    """The hash of a text; the same for texts that differ only in spaces, case or Unicode form."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return content_key(" ".join(folded.split()).encode("utf-8", "surrogatepass"))


def read_contents(table: Table, schema: Schema, progress: Callable[[int, int], None] | None = None) -> Contents:
    """Read every input of text, media or vectors.

    Args:
        table: The table.
        schema: What its columns mean.
        progress: Called with (done, all) cells of media and vectors.
    """
    contents = Contents()
    columns = [c for c in schema.columns if c.role == "input"]
    judged = [(c.name, _JUDGES[c.kind]) for c in columns if c.kind in _JUDGES]
    for number, (name, judge) in enumerate(judged):
        _read_cells(table, name, judge, contents, progress, number * len(table), len(judged) * len(table))
    for name in (c.name for c in columns if c.kind == "vector"):
        _compare_widths(table, name, contents)
    for name in (c.name for c in columns if c.kind == "text"):
        keys: list[str | None] = []
        for row, value in enumerate(table.column(name)):
            blank = value is None or not str(value).strip()
            keys.append(None if blank else text_key(str(value)))
            if blank:
                contents.blank.setdefault(name, []).append(row)
        contents.keys[name] = keys
    return contents


def _read_cells(
    table: Table,
    name: str,
    judge: Judge,
    contents: Contents,
    progress: Callable[[int, int], None] | None,
    done: int,
    total: int,
) -> None:
    cells = table.column(name)
    first: dict[Any, int] = {}
    same = [first.setdefault(_identity(cell, row), row) for row, cell in enumerate(cells)]
    unique = sorted(first.values())
    outcome: dict[int, tuple[str | None, str | None, bool]] = {}
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        judged = pool.map(lambda row: _judge_cell(table.root, cells[row], judge), unique)
        for count, (row, found) in enumerate(zip(unique, judged, strict=True)):
            outcome[row] = found
            if progress is not None:
                progress(done + (count + 1) * len(cells) // len(unique), total)
    keys: list[str | None] = []
    for row, original in enumerate(same):
        key, reason, is_broken = outcome[original]
        keys.append(key)
        if reason is not None:
            (contents.broken if is_broken else contents.unread).append((row, name, reason))
        elif key is None:
            contents.absent.setdefault(name, []).append(row)
    contents.keys[name] = keys


def _identity(cell: object, row: int) -> object:
    """Equal for cells that need not be read twice."""
    return cell if isinstance(cell, str | bytes) or cell is None else row


def is_empty(cell: object) -> bool:
    """Whether a cell of media holds nothing at all (which is a missing value, not a fault)."""
    if isinstance(cell, dict):
        return cell.get("bytes") is None and not cell.get("path")
    if isinstance(cell, list):
        return not cell
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _judge_cell(root: Path | None, cell: object, judge: Judge) -> tuple[str | None, str | None, bool]:
    """Hash, reason against it, and whether the reason is broken content rather than one that is not there."""
    if is_empty(cell):
        return None, None, False
    try:
        load, examine = judge
        data = load(cell, root)
    except CellError as error:
        return None, str(error), False
    try:
        return examine(data, root), None, False
    except _MissingPartError as error:
        return None, str(error), False
    except CellError as error:
        return None, str(error), True


class _MissingPartError(CellError):
    """An image of a set that is not there, as against one that is broken."""


def _examine_image(data: Any, root: Path | None) -> str:
    check_image(data)
    return content_key(data)


def _examine_sound(source: Any, root: Path | None) -> str:
    decode_sound(source, max_seconds=_HEARD_SECONDS)
    return sound_key(source)


def _examine_set(cells: Any, root: Path | None) -> str:
    keys = []
    for place, cell in enumerate(cells):
        try:
            data = read_media(cell, root)
        except CellError as error:
            raise _MissingPartError(f"image {place} of the set: {error}") from error
        try:
            keys.append(_examine_image(data, root))
        except CellError as error:
            raise CellError(f"image {place} of the set: {error}") from error
    return content_key(" ".join(sorted(keys)).encode())


def _examine_vector(cell: Any, root: Path | None) -> str:
    vector = read_vector(cell, root)
    assert vector is not None
    return content_key(repr(vector.shape).encode() + vector.tobytes())


def _compare_widths(table: Table, name: str, contents: Contents) -> None:
    """Call vectors broken whose width is not that of most."""
    widths = {}
    cells = table.column(name)
    for row, key in enumerate(contents.keys[name]):
        vector = read_vector(cells[row], table.root) if key is not None else None
        if vector is not None:
            widths[row] = vector.shape[-1]
    usual = Counter(widths.values()).most_common(1)
    for row, width in widths.items():
        if width != usual[0][0]:
            contents.keys[name][row] = None
            contents.broken.append((row, name, f"the vector has {width} numbers, most have {usual[0][0]}"))


Judge = tuple[Callable[[Any, Path | None], Any], Callable[[Any, Path | None], str]]  # load, then examine and hash
_HEARD_SECONDS = 60.0
_JUDGES: dict[str | None, Judge] = {
    "image": (read_media, _examine_image),
    "audio": (find_sound, _examine_sound),
    "image_set": (read_image_set, _examine_set),
    "vector": (lambda cell, root: cell, _examine_vector),
}
