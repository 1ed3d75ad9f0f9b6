"""Where the files of items lie, and by what a changed file is noticed without reading it.

A cell may hold a path, a ``file://`` address, several paths (a set of images), or no path at all. The state of a file
is its size and the time of its last change: a file of another state is read and hashed again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from plait.data.column_kind import kind_of
from plait.data.media import CellError, is_empty
from plait.data.media_folder import resolve
from plait.data.modality import Modality

_LONGEST = 4096  # no file system takes a longer path


def path_of(cell: Any, root: Path | None) -> Path | None:
    """The path that one cell names, whether a file is there or not; None where it names none."""
    if isinstance(cell, Mapping):
        cell = cell.get("path") if cell.get("bytes") is None else None
    if not isinstance(cell, str | Path) or not 0 < len(str(cell)) < _LONGEST:
        return None
    text = str(cell)
    if text[:7].lower() == "file://":
        return Path(unquote(urlsplit(text).path))
    if text[:5].lower() == "data:" or "://" in text or "\0" in text:
        return None
    return resolve(text, root)


def parts_of(cell: Any, root: Path | None, modality: Modality) -> list[Any]:
    """What the cell of an item holds: itself, or the images of a set; nothing where it is text or cannot be read."""
    if modality.kind == "text" or is_empty(cell):
        return []
    pictures = kind_of(modality).pictures
    try:
        return [cell] if pictures is None else pictures(cell, root)
    except CellError:
        return []


def paths_of(cell: Any, root: Path | None, modality: Modality) -> list[Path]:
    """The paths that the cell of an item names: one, or one for each image of a set."""
    return [path for part in parts_of(cell, root, modality) if (path := path_of(part, root)) is not None]


def state_of(cell: Any, root: Path | None, modality: Modality) -> str | None:
    """Size and time of change [ns] of the files of a cell; None where one is not there, or none is named."""
    states = []
    for path in paths_of(cell, root, modality):
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return None
        states.append(f"{found.st_size}-{found.st_mtime_ns}")
    return ";".join(states) or None
