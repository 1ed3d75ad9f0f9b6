"""One writer at a time: a lock on the index folder that dies with the process that holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from plait.files import HeldLockError, sole_lock
from plait.index.manifest import IndexFolderError
from plait.index.ordinary import refuse_others


@contextlib.contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        IndexFolderError: Another process writes, or the folder cannot be written.
    """
    with contextlib.ExitStack() as held:
        try:
            if os.path.lexists(folder / "lock"):
                refuse_others(folder / "lock")
            held.enter_context(sole_lock(folder / "lock"))
        except HeldLockError as error:
            raise IndexFolderError(
                f"another process (number {error.holder}) is writing to the index {folder}; wait until it is done. "
                "Searching works meanwhile"
            ) from error
        except ValueError as error:
            raise IndexFolderError(f"cannot lock the index {folder}: {error}; remove it") from error
        except OSError as error:
            raise IndexFolderError(write_message(folder, error)) from error
        yield


def write_message(folder: Path, error: OSError) -> str:
    """The sentence for a folder that cannot be written."""
    reason = error.strerror or str(error)
    return (
        f"cannot write to the index {folder}: {reason}. What was committed before is whole; make room or choose a "
        "writable folder, then type the same command again to go on"
    )
