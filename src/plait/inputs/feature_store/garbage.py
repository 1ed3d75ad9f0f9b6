"""Clearing the feature store: what may go, and in which order, so that no reader ever sees a gap.

Temporary folders and claims of dead processes go, then spaces unused for long or past a size (least recently used
first), then damaged segments. Segments are never merged: a store of 300 opens in a tenth of a second. One collector
runs at a time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from plait.files import HOST, waiting_lock
from plait.inputs.feature_store.claims import remove_dead_claims
from plait.inputs.feature_store.segment import (
    DamagedSegmentError,
    check_segment,
    folder_bytes,
    remove_folder,
)
from plait.inputs.feature_store.space import write_error

DAY = 86_400.0


@dataclass
class GcReport:
    """What `FeatureStore.gc` did."""

    num_tmp_removed: int = 0
    num_spaces_removed: int = 0
    num_damaged_removed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def to_json(self) -> dict:
        """The counts as JSON values."""
        return asdict(self)


def last_used(folder: Path) -> float:
    """When a space was last read or written, in seconds since 1970."""
    times = []
    for path in (folder / "last-used", folder):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
            break  # the folder's own time counts only where nothing was ever read
    return times[0] if times else 0.0


def is_stale(path: Path, now: float) -> bool:
    """Whether a `tmp-<pid>-...` entry has no living writer: its process is dead, or it is a day old."""
    try:
        age = now - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if age > DAY:
        return True
    parts = path.name.split("-")
    if len(parts) < 3 or not parts[1].isdigit() or parts[2] != HOST:
        return False  # another machine's process: only age can tell
    pid = int(parts[1])
    if os.name == "nt":  # there os.kill(pid, 0) would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it lives and belongs to another user
    return False


def collect_garbage(root: Path, folders: list[Path], max_bytes: int | None, older_than_days: float | None) -> GcReport:
    """See `FeatureStore.gc`."""
    if max_bytes is not None and max_bytes < 0:
        raise ValueError(f"max_bytes is {max_bytes}; give the size to keep in bytes, 0 or more")
    if older_than_days is not None and older_than_days < 0:
        raise ValueError(f"older_than_days is {older_than_days}; give a number of days, 0 or more")
    report = GcReport()
    if not root.is_dir():
        return report
    try:
        with waiting_lock(root / "gc.lock"):
            report.bytes_before = folder_bytes(root)
            _remove_tmp(root, folders, report)
            kept = _remove_spaces(folders, max_bytes, older_than_days, report)
            for folder in kept:
                _remove_damaged(folder, report)
            report.bytes_after = folder_bytes(root)
    except OSError as error:
        raise write_error(root, error) from error
    return report


def _remove_tmp(root: Path, folders: list[Path], report: GcReport) -> None:
    now = time.time()
    for folder in (root, *folders):
        for path in sorted(folder.glob("tmp-*")):
            if not is_stale(path, now):
                continue
            with contextlib.suppress(FileNotFoundError):  # its writer finished or cleaned up meanwhile
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            report.num_tmp_removed += 1
    for folder in folders:
        report.num_tmp_removed += remove_dead_claims(folder)


def _remove_spaces(
    folders: list[Path], max_bytes: int | None, older_than_days: float | None, report: GcReport
) -> list[Path]:
    now = time.time()
    newest_first = sorted(folders, key=last_used, reverse=True)
    kept, total, is_full = [], 0, False
    for folder in newest_first:
        size = folder_bytes(folder)
        too_old = older_than_days is not None and now - last_used(folder) > older_than_days * DAY
        is_full = is_full or (max_bytes is not None and total + size > max_bytes)  # then nothing older stays
        if too_old or is_full:
            remove_folder(folder)
            report.num_spaces_removed += 1
        else:
            kept.append(folder)
            total += size
    return kept


def _remove_damaged(folder: Path, report: GcReport) -> None:
    for path in sorted(folder.glob("seg-*")):
        try:
            check_segment(path)
        except FileNotFoundError:
            continue  # another process was quicker
        except DamagedSegmentError:
            remove_folder(path)
            report.num_damaged_removed += 1
