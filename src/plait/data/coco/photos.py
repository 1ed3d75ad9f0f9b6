"""Where the photos of an annotation file lie, and which of them are not there. Pixels are never read here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from plait.data.media_folder import same_name


def first_folder(places: Iterable[Path]) -> Path | None:
    """The first of these places that is a folder; None where none is."""
    return next((place for place in places if place.is_dir()), None)


def missing_photos(images: Iterable[str], root: Path) -> list[str]:
    """The photos that are not there, each once, by their paths under ``root``; every folder is listed once."""
    listed: dict[str, set[str]] = {}
    missing: list[str] = []
    for image in dict.fromkeys(images):
        folder, _, name = image.rpartition("/")
        if folder not in listed:
            place = root / folder
            names = os.listdir(place) if place.is_dir() else []
            listed[folder] = {*names, *map(same_name, names)}
        if name not in listed[folder] and same_name(name) not in listed[folder]:
            missing.append(image)
    return missing
