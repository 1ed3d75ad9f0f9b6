"""Planted pairs for retrieval: photos of six colours, each with two captions that name the colour."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {
    "red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 50, 220), "yellow": (230, 220, 40),
    "white": (240, 240, 240), "black": (10, 10, 10),
}  # fmt: skip
SCRATCH = [
    "encoders.text=scratch:text", "encoders.image=scratch:image", "encoders.image_size=32", "train.threads=1",
    "fusion.width=16", "fusion.dropout=0", "train.batch_size=32", "train.learning_rate=0.0003",
]  # fmt: skip


def write_table(folder: Path, name: str = "photos.csv", **changes: str) -> Path:
    """72 rows: 36 photos of six colours, two captions each; the split keeps photos together."""
    (folder / "img").mkdir(exist_ok=True)
    rows = []
    for i in range(36):
        word = list(COLOURS)[i % 6]
        level = np.array(COLOURS[word]) + np.random.default_rng(i).integers(-9, 10, 3)
        Image.new("RGB", (32, 32), tuple(int(v) for v in level.clip(0, 255))).save(folder / f"img/{i}.png")
        split = "test" if i >= 30 else "val" if i >= 24 else "train"
        for text in (f"a {word} square {i}", f"{word} paper number {i}"):
            rows.append({"image": f"img/{i}.png", "caption": text, "image_id": f"p{i}", "split": split} | changes)
    with open(folder / name, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / name
