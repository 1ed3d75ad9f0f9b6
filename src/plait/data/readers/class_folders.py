"""A folder with one subfolder a class, each full of sounds or of pictures, as one table.

``sounds/dog/1.ogg`` becomes a row with ``audio`` = ``dog/1.ogg`` and ``label`` = ``dog``; pictures get a column
``image`` in place of ``audio``. Where the top folders are splits (``train``, ``val``, ``test``) the classes lie below
them, and a column ``split`` is added. Paths are relative to the folder. Hidden files are no data; any other file that
is neither sound nor picture is named in a warning, and no row is made of it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pyarrow as pa

from plait.data.media import IMAGE_SUFFIXES
from plait.registry import counted

SOUNDS = (".wav", ".ogg", ".mp3", ".flac", ".m4a", ".opus")
PICTURES = tuple(sorted(IMAGE_SUFFIXES))
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})


def read_class_folders(folder: Path) -> pa.Table | None:
    """Read class folders; None where the folder is none of that kind.

    Raises:
        ValueError: Sounds and pictures side by side, one class only, or an empty class folder.
    """
    tops = _subfolders(folder)
    splits = [p for p in tops if p.name.lower() in _SPLITS and _subfolders(p)]
    if splits and len(splits) < len(tops):
        return None
    places = [(top.name, kind) for top in splits for kind in _subfolders(top)] or [("", kind) for kind in tops]
    found = {place: _files(place) for _, place in places}
    suffixes = {p.suffix.lower() for files in found.values() for p in files}
    heard, seen = suffixes & set(SOUNDS), suffixes & set(PICTURES)
    if not heard and not seen:
        return None
    if heard and seen:
        raise ValueError(
            f"{folder}: holds sounds ({', '.join(sorted(heard))}) and pictures ({', '.join(sorted(seen))}); a folder "
            "of classes holds one of them. Write a table with a column for each"
        )
    kind, wanted = ("audio", SOUNDS) if heard else ("image", PICTURES)
    rows: list[tuple[str, str, str]] = []
    other: list[Path] = []
    for split, place in places:
        files = [p for p in found[place] if p.suffix.lower() in wanted]
        other += [p for p in found[place] if p.suffix.lower() not in wanted]
        if not files:
            raise ValueError(f"{place}: a class folder without a file of the kind {kind}; fill it or take it away")
        rows += [(p.relative_to(folder).as_posix(), place.name, split) for p in files]
    classes = {label for _, label, _ in rows}
    if len(classes) < 2:
        raise ValueError(f"{folder}: one class folder only ({', '.join(classes)}); expected one subfolder a class")
    if other:
        shown = ", ".join(p.relative_to(folder).as_posix() for p in other[:3])
        left = counted(len(other), f"file that is no {kind} was", f"files that are no {kind} were")
        warnings.warn(f"{folder}: {left} left out ({shown})", UserWarning, stacklevel=6)
    columns = {kind: [r[0] for r in rows], "label": [r[1] for r in rows]}
    return pa.table(columns | ({"split": [r[2] for r in rows]} if splits else {}))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
