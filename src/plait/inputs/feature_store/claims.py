"""Claims: processes that encode the same items at the same time share the work instead of repeating it.

Before a process encodes items it writes their keys beside a lock file that it holds; the others leave them out and read
what it stored. The system frees the lock of a process that dies, so that its items are free at once. Claims only save
work: where they cannot be made (no locks, a folder that vanishes), and where one stands still for minutes, items are
encoded twice, which harms nothing.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from plait.files import waiting_lock
from plait.inputs.feature_store.space import Space, key_bytes

STALE_SECONDS = 300.0  # without a sign of life; a process may be stopped, or its machine unreachable
MUTEX_SECONDS = 10.0


class Claims:
    """What this process is about to encode into a space; a context that frees it at the end.

    Args:
        space: The space.

    Attributes:
        is_shared: Whether the last ``take`` left out items because others encode them.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.is_shared = False
        self._name = f"claim-{uuid.uuid4().hex}"
        self._lock: FileLock | None = None
        self._held: dict[bytes, None] = {}

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def walk(self, left: deque[tuple[int, str]], most: int) -> Iterator[int]:
        """Numbers of items that nobody stored or claimed, claimed for this process a few at a time.

        Args:
            left: Number and key of each item; what is handed out, and what others have, is taken from it.
            most: Items to claim at once.
        """
        self.is_shared = False
        while left:
            yield from self._take(left, most)

    def _take(self, left: deque[tuple[int, str]], most: int) -> list[int]:
        chosen: list[tuple[int, bytes]] = []
        with self._alone() as is_alone:
            taken = self._of_others() if is_alone else set()
            self.space.refresh()  # after the look at claims: an item is stored before its claim goes
            while left and len(chosen) < most:
                next_ones = [left.popleft() for _ in range(min(len(left), most - len(chosen)))]
                stored = self.space.are_stored([key for _, key in next_ones])
                for (number, key), is_stored in zip(next_ones, stored.tolist(), strict=True):
                    raw = key_bytes(key)
                    if raw in taken:
                        self.is_shared = True
                    elif not is_stored:
                        chosen.append((number, raw))
            if chosen and is_alone:
                self._hold([raw for _, raw in chosen])
        return [number for number, _ in chosen]

    def touch(self) -> None:
        """A sign of life to those who wait."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._keys_file.touch()

    def release(self) -> None:
        """Free everything; to be called when it is stored."""
        self._held = {}
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._keys_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._lock_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._lock.release(force=True)
        self._lock = None

    @property
    def _keys_file(self) -> Path:
        return self.space.folder / f"{self._name}.keys"

    @property
    def _lock_file(self) -> Path:
        return self.space.folder / f"{self._name}.lock"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this process is the only one that looks at the claims; False where the folder has no locks."""
        mutex = FileLock(self.space.folder / "claims.lock", timeout=MUTEX_SECONDS)
        try:
            mutex.acquire()
        except (OSError, Timeout, NotImplementedError):
            yield False
            return
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):
                mutex.release()

    def _hold(self, keys: list[bytes]) -> None:
        self._held = {raw: None for raw in self._held if raw not in self.space} | dict.fromkeys(keys)
        with contextlib.suppress(OSError, Timeout, NotImplementedError):
            if self._lock is None:
                lock = FileLock(self._lock_file)
                lock.acquire(timeout=0)
                self._lock = lock
            self._keys_file.write_bytes(b"".join(self._held))

    def _of_others(self) -> set[bytes]:
        taken: set[bytes] = set()
        for keys_file in self.space.folder.glob("claim-*.keys"):
            if keys_file != self._keys_file and is_live(keys_file):
                with contextlib.suppress(OSError):
                    raw = keys_file.read_bytes()
                    taken.update(raw[start : start + 32] for start in range(0, len(raw), 32))
        return taken


def is_live(keys_file: Path) -> bool:
    """Whether a living process holds this claim; that of a dead one is removed. Ask under ``claims.lock`` only."""
    lock_file = keys_file.with_suffix(".lock")
    try:
        with FileLock(lock_file, timeout=0):
            keys_file.unlink(missing_ok=True)
            lock_file.unlink(missing_ok=True)
        return False
    except Timeout:
        with contextlib.suppress(OSError):
            return keys_file.is_file() and time.time() - keys_file.stat().st_mtime <= STALE_SECONDS
        return False
    except (OSError, NotImplementedError):
        return False


def remove_dead_claims(folder: Path) -> int:
    """Remove what dead processes claimed in a space; returns how many claims those were.

    Raises:
        OSError: The folder cannot be written.
    """
    files = {path.with_suffix(".keys") for path in folder.glob("claim-*")}
    if not files:
        return 0
    with waiting_lock(folder / "claims.lock"):
        for keys_file in files:
            is_live(keys_file)
    return sum(not path.with_suffix(".lock").exists() for path in files)
