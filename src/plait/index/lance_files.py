"""The files of a Lance table held to their checksums: what LanceDB itself does not compare.

Lance never changes a file once it is written; a commit adds some. So the sha256 of each is taken once, when the commit
is over, and kept in the manifest with the version of the table. All are compared when the index is opened: a table
whose newest version is gone would else open as the version before it, and flipped bits would answer. A commit of Lance
that was killed before the manifest followed leaves files that no list names yet; they are taken up by the next commit.
On object storage the version alone is compared.
"""

from __future__ import annotations

import os
from pathlib import Path

from plait.files import file_sha256
from plait.index.folder_reading import damaged
from plait.index.manifest import Manifest, TableState
from plait.index.ordinary import refuse_others

_HINT = "latest_version_hint.json"  # the one file that changes; the version is compared instead


def local_place(uri: str) -> Path | None:
    """Where a table lies in this file system; None on object storage."""
    return None if "://" in uri else Path(uri)


def state_of(place: Path | None, version: int, before: TableState | None) -> TableState:
    """The state of a table after a commit; files whose sha256 is known are not read again."""
    files: dict[str, tuple[int, str]] = {}
    known = {} if before is None else before.files
    for path in [] if place is None else sorted(p for p in place.rglob("*") if p.is_file() and p.name != _HINT):
        name, size = path.relative_to(place).as_posix(), path.stat().st_size
        old = known.get(name)
        files[name] = old if old is not None and old[0] == size else (size, file_sha256(path))
    return TableState(version, files)


def compare_files(folder: Path, place: Path | None, manifest: Manifest) -> None:
    """Hold every file to its size and sha256.

    Raises:
        DamagedIndexError: One is missing, is no ordinary file, or is another than was written.
    """
    if place is None or manifest.table is None:
        return
    _refuse_hints_that_wait(folder, place)
    for name, (size, sha256) in manifest.table.files.items():
        path = place / name
        try:
            refuse_others(path)
            same = os.path.getsize(path) == size and file_sha256(path) == sha256
        except FileNotFoundError as error:
            raise damaged(folder, f"{name} of the Lance table is missing") from error
        except (OSError, ValueError) as error:
            raise damaged(folder, f"{name} of the Lance table: {error}") from error
        if not same:
            raise damaged(folder, f"{name} of the Lance table does not match its checksum")


def _refuse_hints_that_wait(folder: Path, place: Path) -> None:
    for path in place.rglob(_HINT):
        try:
            refuse_others(path)
        except (OSError, ValueError) as error:
            raise damaged(folder, f"{path.relative_to(place).as_posix()} of the Lance table: {error}") from error


def compare_version(folder: Path, version: int | None, manifest: Manifest) -> None:
    """A table that is older than the manifest, or gone, has lost items.

    Raises:
        DamagedIndexError: It is.
    """
    if manifest.table is not None and (version is None or version < manifest.table.version):
        found = "the Lance table is gone" if version is None else f"the Lance table is at version {version}"
        raise damaged(folder, f"{found}, the manifest says {manifest.table.version}")
