"""The exported folder written beside its place and swapped in as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from plait.api.exporting.description import remove
from plait.api.exporting.reader.sealed import FACTS
from plait.files import temporary_name


def check_place(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or an export that nobody gave away.

    Raises:
        ValueError: The message says what to type.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the export")
    if not any(folder.iterdir()):
        return
    if not (folder / FACTS).is_file() or not any(folder.glob("model*.onnx")):
        raise ValueError(f"{folder} holds other files; choose a new folder for the export")
    if not overwrite:
        raise ValueError(
            f"{folder} holds an exported model; choose another folder, or type overwrite=True to replace it"
        )


def write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside its place and put it there when it is whole; what raises leaves everything as it was.

    Raises:
        ValueError: The place cannot be written.
    """
    part = folder.with_name(f".{folder.name}.part-{temporary_name()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
        write(part)
        old = folder.with_name(f".{folder.name}.old-{temporary_name()}")
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        remove(old)
    except OSError as error:
        raise ValueError(f"cannot write the export to {folder}: {error.strerror or error}") from error
    finally:
        remove(part)
