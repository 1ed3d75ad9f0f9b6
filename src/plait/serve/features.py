"""Features of what is sent to a server: kept for a moment in a folder of its own, in memory where the system has that.

Without it every photo that was ever sent would leave its vector in the user's feature store. Whoever sets
``PLAIT_FEATURES`` keeps them there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

STORE = "PLAIT_FEATURES"
MOST_BATCHES = 8  # after so many the folder is emptied; more pieces in it make every later batch slower
_MEMORY = Path("/dev/shm")
_NAME = "plait-serve-"


@contextlib.contextmanager
def passing_features() -> Iterator[Callable[[], None]]:
    """Gives what is to be called after each batch; the folder goes at the end."""
    if os.environ.get(STORE):
        yield lambda: None
        return
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _remove_left_over(place)
    folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-", dir=place))
    os.environ[STORE] = str(folder)
    batches = 0

    def after_batch() -> None:
        nonlocal batches
        batches += 1
        if batches % MOST_BATCHES == 0:
            for inside in folder.iterdir():
                shutil.rmtree(inside, ignore_errors=True)

    try:
        yield after_batch
    finally:
        del os.environ[STORE]
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(place: Path) -> None:
    """Folders of servers that were killed."""
    for folder in place.glob(f"{_NAME}*-*"):
        number = folder.name.removeprefix(_NAME).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
