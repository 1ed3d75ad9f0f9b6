"""The backends of an index: a folder searched exactly, or LanceDB (imported when asked for)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plait.index.folder import FolderStorage
from plait.index.storage import Storage
from plait.registry import Registry


def _lance(folder: Path) -> Storage:
    from plait.index.lance import LanceStorage

    return LanceStorage(folder)


BACKENDS: Registry[Callable[[Path], Storage]] = Registry("backend")
BACKENDS.add("exact", FolderStorage)
BACKENDS.add("lance", _lance)
