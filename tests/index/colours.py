"""A small embedder that needs no training: a colour is where its word is.

Red, green and blue are three axes of a space of 8. A text is the sum of the colours that it names (other words are a
fourth axis, by their hash); a picture is its mean colour. So "red" finds red pictures, and every score can be worked
out by hand.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plait.data.media import CellError, open_image, read_media
from plait.data.schema import Modality
from plait.data.table import BadRow, Table

DIM = 8
AXES = {"red": 0, "green": 1, "blue": 2}
MODALITIES = (Modality("caption", "text", ("caption",)), Modality("image", "image", ("image",)))


class ColourEmbedder:
    def __init__(self, fingerprint: str = "c0" * 32, *, fail_after: int | None = None) -> None:
        self.fingerprint, self.dim, self.plain_dim, self.modalities = fingerprint, DIM, DIM, MODALITIES
        self.embedded: list[Any] = []
        self.fail_after = fail_after

    def embed(self, table: Table, modality: str, *, on_bad_row: str = "missing", progress: Any = None) -> Any:
        column = next(m for m in self.modalities if m.name == modality).columns[0]
        vectors, bad = np.zeros((len(table), DIM), dtype=np.float32), []
        for row, cell in enumerate(table.column(column)):
            if self.fail_after is not None and len(self.embedded) >= self.fail_after:
                raise KeyboardInterrupt
            if cell is None:
                continue
            self.embedded.append(cell)
            try:
                vectors[row] = text_vector(cell) if modality == "caption" else picture_vector(cell, table.root)
            except CellError as error:
                bad.append(BadRow(row, column, str(error)))
        return vectors, bad


def text_vector(text: str) -> np.ndarray:
    made = np.zeros(DIM)
    for word in text.lower().split():
        if word in AXES:
            made[AXES[word]] += 1
        else:
            made[3 + hashlib.sha256(word.encode()).digest()[0] % 5] += 0.1
    return made / np.linalg.norm(made)


def picture_vector(cell: Any, root: Path | None) -> np.ndarray:
    image = open_image(read_media(cell, root))
    try:
        mean = np.asarray(image.convert("RGB"), dtype=np.float64).mean(axis=(0, 1)) + 1e-3
    except (OSError, SyntaxError) as error:
        raise CellError(f"the image is broken or cut short ({error})") from error
    made = np.zeros(DIM)
    made[:3] = mean
    return made / np.linalg.norm(made)


def paint(path: Path, colour: tuple[int, int, int], size: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), colour).save(path)
    return path
