"""One writer at a time: a lock on the index folder that dies with the process that holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from plait.index.manifest import IndexFolderError


@contextlib.contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        IndexFolderError: Another process writes, or the folder cannot be written.
    """
    try:
        file = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115  closed below
    except OSError as error:
        raise IndexFolderError(write_message(folder, error)) from error
    with file:
        try:
            import fcntl
        except ImportError:  # Windows: the last commit wins; each one is whole
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            raise IndexFolderError(
                f"another process (number {holder}) is writing to the index {folder}; wait until it is done. "
                "Searching works meanwhile"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_message(folder: Path, error: OSError) -> str:
    """The sentence for a folder that cannot be written."""
    reason = error.strerror or str(error)
    return (
        f"cannot write to the index {folder}: {reason}. What was committed before is whole; make room or choose a "
        "writable folder, then type the same command again to go on"
    )
