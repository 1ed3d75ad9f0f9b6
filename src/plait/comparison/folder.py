"""The folder of a comparison: guarded against others' files and other comparisons, locked, resumable.

Under ``--overwrite`` the runs of the comparison that was there are put aside, in the same folder, until the new one
is whole; its page and numbers stay where they are until they are replaced.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plait.api.model_folder import folder_lock
from plait.files import write_text

PLAN_FILE = "plan.json"
REPLACED = ".plait-replaced"
MOVED = ("runs", PLAN_FILE)


@contextlib.contextmanager
def comparison_folder(folder: Path, stamp: dict[str, Any], *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Work in the folder, or refuse it.

    Args:
        folder: Where the comparison goes.
        stamp: What must not differ between a comparison and its resumption: settings, table, configurations.
        resume: Go on with the comparison that lies there.
        overwrite: Replace it; it stands until the block has ended well.

    Raises:
        ValueError: The folder holds something else, or another comparison, or cannot be written, or another process
            works in it.
    """
    if resume and not any((folder / "runs").glob("*.json")):
        warnings.warn(f"there is no finished run in {folder} to go on with; it starts anew", UserWarning, stacklevel=3)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the comparison")
    with contextlib.ExitStack() as held:
        try:
            _guard(folder, stamp, resume, overwrite)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(folder_lock(folder))
            if overwrite:
                _put_aside(folder)
            write_text(folder / PLAN_FILE, json.dumps(stamp, ensure_ascii=False, indent=1))
        except OSError as error:
            raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error
        try:
            yield
        except BaseException as error:
            _tell(error, folder)
            raise
        shutil.rmtree(folder / REPLACED, ignore_errors=True)


def _guard(folder: Path, stamp: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Refuse a folder of somebody else, and one that holds a comparison unless it is to go on or to be replaced."""
    record = folder / PLAN_FILE
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the comparison")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not record.is_file() and not (folder / REPLACED).is_dir():
        raise ValueError(f"{folder} holds other files; choose a new folder for the comparison")
    if not resume and not overwrite:
        raise ValueError(f"{folder} holds a comparison already; type resume=True to go on with it, or overwrite=True")
    if resume and record.is_file():
        try:
            differing = _differing(dict(json.loads(record.read_text(encoding="utf-8"))), stamp)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{record} is damaged; type overwrite=True to start anew") from error
        if differing:
            raise ValueError(
                f"the comparison in {folder} was started with other settings or another table ({differing}); "
                "type overwrite=True to start anew, or choose another folder"
            )


def _put_aside(folder: Path) -> None:
    """Keep the runs of the comparison that is to be replaced; those of an unfinished one that was to replace it go."""
    kept = folder / REPLACED
    is_replacing = kept.is_dir()
    for name in MOVED:
        path = folder / name
        if is_replacing:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        elif path.exists():
            kept.mkdir(exist_ok=True)
            path.rename(kept / name)


def _tell(error: BaseException, folder: Path) -> None:
    """Put the old comparison back where nothing new has come of it, and note on the error how to go on."""
    kept, finished = folder / REPLACED, any((folder / "runs").glob("*.json"))
    if kept.is_dir() and not finished:
        for name in MOVED:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if (kept / name).exists():
                (kept / name).rename(path)
        shutil.rmtree(kept, ignore_errors=True)
        error.add_note(f"the comparison that was in {folder} stands as it was; type the same command again")
    elif finished:
        error.add_note(f"finished runs are kept in {folder}: do the same with resume=True (and without overwrite=True)")
        if kept.is_dir():
            error.add_note(f"the runs of the comparison that was there are kept in {kept} until the new one is whole")


def _differing(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """Dotted names of what differs, the first three."""
    names = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += [n for n in _differing(a, b, f"{prefix}{key}.").split(", ") if n]
        elif a != b:
            names.append(f"{prefix}{key}")
    return ", ".join(names[:3])
