"""The content of every text, image, sound and vector cell as a hash, and what is wrong with cells that have none.

Media are read, hashed and decoded once for each different cell, in a few threads (decoding frees the lock). The
hashes serve the search for duplicates and leakage; the faults are the missing files, the broken media and the
vectors that cannot be used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from plait.data.column_kind import COLUMN_KINDS, CellChecks
from plait.data.media import CellError, MissingFileError, is_empty
from plait.data.media_folder import Root
from plait.data.remote.columns import bring_columns
from plait.data.schema import Schema
from plait.data.table import Table


@dataclass(frozen=True)
class Contents:
    """Hashes and faults of the inputs.

    Attributes:
        keys: For each column of texts, media or vectors the hash of each cell; None where there is no content.
        unread: (position, column, reason) of cells whose bytes cannot be had: missing files, addresses.
        broken: (position, column, reason) of bytes that are no image or sound, and of unusable vectors.
        doubtful: (position, column, doubt) of contents that can be used though something may be wrong with them.
        absent: Column -> positions of empty cells of texts, media and vectors.
    """

    keys: dict[str, list[str | None]] = field(default_factory=dict)
    unread: list[tuple[int, str, str]] = field(default_factory=list)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    doubtful: list[tuple[int, str, str]] = field(default_factory=list)
    absent: dict[str, list[int]] = field(default_factory=dict)


def read_contents(table: Table, schema: Schema, progress: Callable[[int, int], None] | None = None) -> Contents:
    """Read every input of text, media or vectors.

    Args:
        table: The table.
        schema: What its columns mean.
        progress: Called with (done, all) cells of media and vectors.
    """
    contents = Contents()
    checked = {c.name: COLUMN_KINDS.get(c.kind).checks for c in schema.columns if c.role == "input" and c.kind}
    slow = [(name, checks) for name, checks in checked.items() if checks is not None and checks.broken is not None]
    media = [c.name for c in schema.columns if c.role == "input" and c.kind and COLUMN_KINDS.get(c.kind).names_files]
    bring_columns(table, media, None if progress is None else lambda done, total, what: progress(done, total))
    for number, (name, checks) in enumerate(slow):
        _read_cells(table, name, checks, contents, progress, number * len(table), len(slow) * len(table))
    for name, checks in slow:
        if checks.compare is not None:
            checks.compare(table, name, contents)
    for name, known in checked.items():
        if known is not None and known.broken is None:
            _read_cells(table, name, known, contents)
    return contents


def _read_cells(
    table: Table,
    name: str,
    checks: CellChecks,
    contents: Contents,
    progress: Callable[[int, int], None] | None = None,
    done: int = 0,
    total: int = 0,
) -> None:
    cells = table.column(name)
    first: dict[Any, int] = {}
    same = [first.setdefault(_identity(cell, row), row) for row, cell in enumerate(cells)]
    unique = sorted(first.values())
    outcome: dict[int, _Examined] = {}
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        examined = pool.map(lambda row: _examine_cell(table.media_folder, cells[row], checks), unique)
        for count, (row, found) in enumerate(zip(unique, examined, strict=True)):
            outcome[row] = found
            if progress is not None:
                progress(done + (count + 1) * len(cells) // len(unique), total)
    keys: list[str | None] = []
    for row, original in enumerate(same):
        found = outcome[original]
        keys.append(found.key)
        if found.reason is not None:
            list_of = {"broken": contents.broken, "doubtful": contents.doubtful, "unread": contents.unread}
            list_of[found.fault].append((row, name, found.reason))
        elif found.key is None:
            contents.absent.setdefault(name, []).append(row)
    contents.keys[name] = keys


def _identity(cell: object, row: int) -> object:
    """Equal for cells that need not be read twice."""
    return cell if isinstance(cell, str | bytes) or cell is None else row


@dataclass(frozen=True)
class _Examined:
    """Hash of a cell, and what is wrong with it: "unread", "broken" or, with a hash, "doubtful"."""

    key: str | None = None
    fault: str = ""
    reason: str | None = None


def _examine_cell(root: Root, cell: object, checks: CellChecks) -> _Examined:
    if is_empty(cell):
        return _Examined()
    try:
        content = checks.load(cell, root)
    except CellError as error:
        return _Examined(None, "unread", str(error))
    try:
        key = checks.examine(content, root)
        return _Examined(key, "doubtful", checks.doubt(content, root) if checks.doubt is not None else None)
    except MissingFileError as error:
        return _Examined(None, "unread", str(error))
    except CellError as error:
        return _Examined(None, "broken", str(error))
