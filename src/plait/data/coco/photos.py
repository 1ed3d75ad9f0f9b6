"""Where the photos of an annotation file lie, and which of them are not there. Pixels are never read here.

Annotation files name a photo by its name alone, or with the folder of its split before it; and photos lie beside the
annotations, in a folder a split, or in ``images``. Where a photo is exactly where it is said to be, that is it; else it
is looked for in those other places, and one that lies in several of them is a fault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from plait.data.media_folder import same_name

IMAGES = "images"
_SHOWN = 5
_SPLIT = re.compile(r"(restval|train(?:ing)?|validation|valid|val|dev|test)(?![a-z])", re.IGNORECASE)
_SPLIT_NAME = {"restval": "train", "training": "train", "validation": "val", "valid": "val", "dev": "val"}


def first_folder(places: Iterable[Path]) -> Path | None:
    """The first of these places that is a folder; None where none is."""
    return next((place for place in places if place.is_dir()), None)


def most_found(names: Sequence[str], places: Sequence[Path]) -> Path | None:
    """The place under which most of these photos lie, the first of equals; None where there are none."""
    listed = Folders()
    counts = {place: sum(listed.has(place / name) for name in names) for place in places}
    best = max(counts, key=lambda place: counts[place], default=None)
    return best if best is not None and counts[best] else None


def split_of(label: str, *, whole: bool = False) -> str | None:
    """The split that a label such as "train2017" or "captions_val" names, or None."""
    match = (
        _SPLIT.fullmatch(label) if whole else _SPLIT.match(label.rpartition("captions_")[2].removeprefix("instances_"))
    )
    if match is None:
        return None
    word = match[1].lower()
    return _SPLIT_NAME.get(word, word)


def missing_photos(images: Iterable[str], root: Path) -> list[str]:
    """The photos that are not there, each once, by their paths under ``root``; every folder is listed once."""
    folders = Folders()
    return [image for image in dict.fromkeys(images) if not folders.has(root / image)]


class Folders:
    """What lies in folders; each is listed once."""

    def __init__(self) -> None:
        self._names: dict[Path, set[str]] = {}
        self._folders: dict[Path, list[Path]] = {}

    def names(self, folder: Path) -> set[str]:
        """The names in a folder, and their other Unicode spelling; none where it is no folder."""
        if folder not in self._names:
            names = os.listdir(folder) if folder.is_dir() else []
            self._names[folder] = {*names, *map(same_name, names)}
        return self._names[folder]

    def has(self, path: Path) -> bool:
        """Whether there is such a file, in one Unicode spelling or another."""
        return path.name in self.names(path.parent) or same_name(path.name) in self.names(path.parent)

    def inside(self, folder: Path) -> list[Path]:
        """The folders in a folder, hidden ones left out."""
        if folder not in self._folders:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name) if folder.is_dir() else []
            self._folders[folder] = [folder / e.name for e in entries if e.name[0] != "." and e.is_dir()]
        return self._folders[folder]


def locate_photos(
    names: Sequence[str], photos: Path, root: Path, path: Path, *, folders: Sequence[str] = (), split: str | None = None
) -> list[str]:
    """Where the photos lie, as paths under ``root``; one that is not found is left where it is said to be.

    Args:
        names: The file name of each, in the order of the list ``images``.
        photos: The folder where they are said to be.
        root: The folder of the data set; ``photos`` or one above it.
        path: The annotation file, for the message.
        folders: The folder (``filepath``) of each, where the file says one.
        split: The split of all of them: photos in a folder of another split are other photos.

    Raises:
        ValueError: Photos that are not where they are said to be and lie in several other places.
    """
    listed, found, unclear = Folders(), [], []
    known: dict[tuple[str, str], str] = {}
    for number, name in enumerate(names):
        folder = folders[number] if folders else ""
        if (folder, name) not in known:
            exact = photos / folder / name
            places = [exact] if listed.has(exact) else _others(name, folder, photos, root, split, listed)
            if len(places) > 1:
                unclear.append(f"number {number}, {name!r}, in {' and '.join(_under(p, root) for p in places)}")
            known[folder, name] = _under(places[0] if places else exact, root)
        found.append(known[folder, name])
    if unclear:
        raise ValueError(
            f"{path}: {len(unclear)} of {len(names)} photos of 'images' lie in several places: "
            f"{'; '.join(unclear[:_SHOWN])}{'; ...' if len(unclear) > _SHOWN else ''}. Name the folder in 'file_name', "
            f"or keep one of them in {root}"
        )
    return found


def _under(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _others(name: str, folder: str, photos: Path, root: Path, split: str | None, listed: Folders) -> list[Path]:
    """The other places where that photo is, each file once."""
    bases = list(dict.fromkeys([photos, root, root / IMAGES]))
    inside = PurePosixPath(folder) / name
    tails = [inside, PurePosixPath(name)]
    while len(inside.parts) > 1 and _may_go(inside.parts[0], photos, split):  # the folder that is the place itself
        inside = inside.relative_to(inside.parts[0])
        tails.append(inside)
    places = [base / tail for base in bases for tail in tails]
    if len(tails[-1].parts) == 1:  # a name alone may lie in the folder of its split
        places += [
            sub / tails[-1] for base in bases for sub in listed.inside(base)
            if _may_hold(sub.name, split)
        ]  # fmt: skip
    found: dict[tuple[int, int], Path] = {}
    for place in places:
        if listed.has(place) and place.is_file():
            one = place.stat()
            found.setdefault((one.st_dev, one.st_ino), place)
    return list(found.values())


def _may_hold(folder: str, split: str | None) -> bool:
    """Whether photos of the split may lie in a folder of that name."""
    named = split_of(folder)
    return "image" in folder.lower() if named is None else split in (None, named)


def _may_go(folder: str, photos: Path, split: str | None) -> bool:
    """Whether a folder before a name only repeats where the photos lie."""
    named = split_of(folder)
    return folder in (photos.name, IMAGES) or (named is not None and split in (None, named))
