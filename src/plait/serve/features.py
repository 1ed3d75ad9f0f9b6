"""Features of what is sent to a server: kept for a moment in a folder of its own, in memory where the system has that.

Each thread with a model has a part of the folder to itself, so that none empties what another reads. Without it every
photo that was ever sent would leave its vector in the user's feature store. Whoever sets ``PLAIT_FEATURES`` keeps them
there.
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


class PassingFeatures:
    """The features of one thread.

    Args:
        folder: Where they lie, emptied now and then; None: in the user's store, where they stay.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._batches = folder, 0

    def begin(self) -> None:
        """Called once on the thread, before its first batch."""
        if self._folder is not None:
            from plait.inputs.feature_store.store import keep_in

            self._folder.mkdir(exist_ok=True)
            keep_in(self._folder)

    def after_batch(self) -> None:
        """Called on the thread after each batch."""
        self._batches += 1
        if self._folder is not None and self._batches % MOST_BATCHES == 0:
            for inside in self._folder.iterdir():
                shutil.rmtree(inside, ignore_errors=True)


@contextlib.contextmanager
def passing_features() -> Iterator[Callable[[str], PassingFeatures]]:
    """Gives the features of a thread by its name; all go at the end."""
    if os.environ.get(STORE):
        yield lambda name: PassingFeatures()
        return
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _remove_left_over(place)
    folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-", dir=place))
    os.environ[STORE] = str(folder / "start")  # of what is done before a thread begins
    try:
        yield lambda name: PassingFeatures(folder / name)
    finally:
        del os.environ[STORE]
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(place: Path) -> None:
    """Folders of servers that were killed."""
    for folder in place.glob(f"{_NAME}*-*"):
        number = folder.name.removeprefix(_NAME).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
