"""The content of every text and image cell as a hash, and what is wrong with the cells that have none.

Images are read, hashed and decoded once for each different cell, in a few threads (decoding frees the
lock). The hashes serve the search for duplicates and leakage; the faults are the missing files and broken
images.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from plait.data.media import CellError, check_image, content_key, read_media
from plait.data.schema import Schema
from plait.data.table import Table


@dataclass(frozen=True)
class Contents:
    """Hashes and faults of the text and image inputs.

    Attributes:
        keys: For each text and image column the hash of each cell; None where there is no content.
        unread: (position, column, reason) of cells whose bytes cannot be had: missing files, addresses.
        broken: (position, column, reason) of bytes that are no sound image.
        absent: Column -> positions of empty image cells.
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
    """Read every text and image input.

    Args:
        table: The table.
        schema: What its columns mean.
        progress: Called with (done, all) image cells.
    """
    contents = Contents()
    columns = [c for c in schema.columns if c.role == "input"]
    images = [c.name for c in columns if c.kind == "image"]
    for number, name in enumerate(images):
        _read_images(table, name, contents, progress, number * len(table), len(images) * len(table))
    for name in (c.name for c in columns if c.kind == "text"):
        keys: list[str | None] = []
        for row, value in enumerate(table.column(name)):
            blank = value is None or not str(value).strip()
            keys.append(None if blank else text_key(str(value)))
            if blank:
                contents.blank.setdefault(name, []).append(row)
        contents.keys[name] = keys
    return contents


def _read_images(
    table: Table,
    name: str,
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
        judged = pool.map(lambda row: _judge_cell(table, cells[row]), unique)
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
    """Whether an image cell holds nothing at all (which is a missing value, not a fault)."""
    if isinstance(cell, dict):
        return cell.get("bytes") is None and not cell.get("path")
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _judge_cell(table: Table, cell: object) -> tuple[str | None, str | None, bool]:
    """Hash, reason against it, and whether the reason is a broken image rather than one that is not there."""
    if is_empty(cell):
        return None, None, False
    try:
        data = read_media(cell, table.root)
    except CellError as error:
        return None, str(error), False
    try:
        check_image(data)
    except CellError as error:
        return None, str(error), True
    return content_key(data), None, False
