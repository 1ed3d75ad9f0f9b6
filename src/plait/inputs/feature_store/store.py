"""The feature store: a folder of spaces shared by every run and every process of a user.

`root/<hash of the fingerprint>/` is a space: `space.json` says what encoded it, `seg-*/` hold the
items. The default root is `$PLAIT_FEATURES`, or `$PLAIT_CACHE/features`, or `~/.cache/plait/features`. Listing,
checking and clearing live here; reading and writing items is `Space`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path

from plait.files import cache_root
from plait.inputs.feature_store.feature_set import RAM_LIMIT
from plait.inputs.feature_store.garbage import GcReport, collect_garbage, last_used
from plait.inputs.feature_store.segment import (
    SEGMENT_VERSION,
    DamagedSegmentError,
    check_segment,
    folder_bytes,
    open_segment,
)
from plait.inputs.feature_store.space import Space


@dataclass(frozen=True)
class SpaceInfo:
    """One line of `plait features ls`: `num_items` counts rows, `last_used` is in seconds since 1970."""

    name: str
    description: dict
    num_items: int
    num_segments: int
    num_damaged: int
    num_bytes: int
    last_used: float

    def to_json(self) -> dict:
        """The report as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Problem:
    """A damaged segment and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """What `FeatureStore.verify` found."""

    num_segments: int
    num_items: int
    problems: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        """Whether no segment is damaged."""
        return not self.problems

    def to_json(self) -> dict:
        """The report as JSON values."""
        problems = [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems]
        return {"num_segments": self.num_segments, "num_items": self.num_items, "problems": problems}


_OF_THREAD: ContextVar[Path | None] = ContextVar("feature_store_of_thread", default=None)


def default_root() -> Path:
    """The folder of :func:`keep_in`, else `$PLAIT_FEATURES`, `$PLAIT_CACHE/features` or `~/.cache/plait/features`."""
    named = _OF_THREAD.get() or os.environ.get("PLAIT_FEATURES")
    return Path(named).expanduser() if named else cache_root() / "features"


def keep_in(root: Path) -> None:
    """Let every store that this thread opens without a folder of its own lie here from now on."""
    _OF_THREAD.set(root)


class FeatureStore:
    """Encoded items on disk, by content and by what encoded them.

    Args:
        root: the folder; `default_root()` when None. It is made on the first write.
        ram_limit: bytes up to which a gathered set is copied into memory.

    Example:
        >>> import hashlib, tempfile, numpy as np
        >>> store = FeatureStore(tempfile.mkdtemp())
        >>> space = store.space("my encoder, version 1", {"encoder": "mine"})
        >>> key = hashlib.sha256(b"a photo").hexdigest()
        >>> space.put([key], np.ones((1, 3), dtype=np.float32))
        1
        >>> space.gather([key]).take(np.array([0]))["vector_BD"].tolist()
        [[1.0, 1.0, 1.0]]
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, *, ram_limit: int = RAM_LIMIT) -> None:
        self.root = default_root() if root is None else Path(root).expanduser()
        self.ram_limit = ram_limit

    def space(self, fingerprint: str, description: dict) -> Space:
        """The space of a fingerprint; nothing is written until items are put.

        Args:
            fingerprint: any text that changes whenever the encoded values would.
            description: JSON values that tell a person what this space is.
        """
        name = hashlib.sha256(f"{SEGMENT_VERSION}:{fingerprint}".encode()).hexdigest()
        return Space(self.root / name, description, ram_limit=self.ram_limit)

    def folders(self) -> list[Path]:
        """The folders of all spaces, by name."""
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if len(path.name) == 64 and path.is_dir())

    def ls(self) -> list[SpaceInfo]:
        """Every space, the most recently used first."""
        infos = []
        for folder in self.folders():
            num_items = num_segments = num_damaged = 0
            for path in sorted(folder.glob("seg-*")):
                try:
                    num_items += len(open_segment(path))
                    num_segments += 1
                except DamagedSegmentError:
                    num_damaged += 1
                except FileNotFoundError:
                    continue  # removed by another process
            size = folder_bytes(folder)
            infos.append(
                SpaceInfo(
                    folder.name,
                    _description(folder),
                    num_items,
                    num_segments,
                    num_damaged,
                    size,
                    last_used(folder),
                )
            )
        return sorted(infos, key=lambda info: -info.last_used)

    def verify(self, progress: Callable[[int, int, str], None] | None = None) -> VerifyReport:
        """Recompute every checksum. Nothing is removed; `gc` does that."""
        paths = [path for folder in self.folders() for path in sorted(folder.glob("seg-*"))]
        problems, num_items = [], 0
        for done, path in enumerate(paths, start=1):
            try:
                check_segment(path)
                num_items += len(open_segment(path))
            except DamagedSegmentError as error:
                problems.append(Problem(path, str(error)))
            except FileNotFoundError:
                pass  # removed by another process
            except OSError as error:
                problems.append(Problem(path, f"cannot be read: {error.strerror}"))
            if progress is not None:
                progress(done, len(paths), "checking features")
        return VerifyReport(len(paths), num_items, tuple(problems))

    def gc(self, max_bytes: int | None = None, older_than_days: float | None = None) -> GcReport:
        """Free space: left-over temporary folders, damaged segments, spaces long unused.

        Args:
            max_bytes: remove the least recently used spaces until the store is no larger.
            older_than_days: remove spaces not used for so many days.

        Raises:
            FeatureStoreError: the folder cannot be written.
        """
        return collect_garbage(self.root, self.folders(), max_bytes, older_than_days)


def _description(folder: Path) -> dict:
    try:
        if not (folder / "space.json").is_file():  # a pipe in its place would be waited for without end
            raise FileNotFoundError
        description = json.loads((folder / "space.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {"unknown": "space.json is missing or broken"}
    return description if isinstance(description, dict) else {"unknown": "space.json is not an object"}
