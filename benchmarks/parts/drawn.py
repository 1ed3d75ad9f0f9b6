"""Data that a part makes itself: sentences of many lengths, and photo-sized JPEGs of coloured shapes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from parts.part import Asked

WORDS = (
    "red green blue sky road house river stone light cloud bird tree old new warm cold runs stands near behind under "
    "a the two many few child dog boat field window street market morning evening quietly slowly #travel @friend "
    "http://t.co/a8Xk2 unbelievable photography"
).split()


def texts(asked: Asked, count: int) -> tuple[list[str], str]:
    """So many different texts, of posts where they are there, and what they are."""
    if asked.posts is not None:
        with asked.posts.open(encoding="utf-8", newline="") as stream:
            found = list(dict.fromkeys(row["text"] for row in csv.DictReader(stream)))
        return found[:count], "texts of posts-sentiment"
    draw = np.random.default_rng(asked.seed)
    made = (" ".join(draw.choice(WORDS, draw.integers(3, 40))) for _ in range(2 * count))
    return list(dict.fromkeys(made))[:count], "drawn sentences of 3 to 39 words"


def jpeg(number: int, size: tuple[int, int] = (320, 240)) -> bytes:
    """A JPEG that only this number has."""
    from PIL import Image, ImageDraw

    draw = np.random.default_rng(number)
    picture = Image.new("RGB", size, tuple(int(v) for v in draw.integers(0, 256, 3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        (x, y), side = draw.integers(0, min(size), 2), int(draw.integers(10, min(size) // 2))
        pen.ellipse((x, y, x + side, y + side), fill=tuple(int(v) for v in draw.integers(0, 256, 3)))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def photos(asked: Asked, count: int) -> tuple[list[str], str]:
    """Files of so many drawn pictures, and what they are."""
    folder = Path(asked.folder) / "photos"
    folder.mkdir(parents=True)
    places = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        path.write_bytes(jpeg(1000 * asked.seed + number, (500, 375)))
        places.append(str(path))
    return places, "drawn JPEGs of 500 x 375"
