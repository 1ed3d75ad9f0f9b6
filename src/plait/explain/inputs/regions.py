"""Regions of a picture that can be hidden: cells of a grid over the photo, grey, of its mean colour or blurred."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from plait.data.picture import MAX_PIXELS, decode_image
from plait.explain.inputs.cut import Cut
from plait.report.thumbnail import LARGE_SIDE, thumbnail

LEAST_SIDE = 512  # a large JPEG is decoded at a reduced size above it, as for an encoder
GREY = 128


def cut_regions(data: bytes, grid: int = 7, instead: str = "grey", max_pixels: int = MAX_PIXELS) -> Cut:
    """A picture in the cells of a grid.

    Args:
        data: The bytes of the file.
        grid: Rows and columns; fewer where a cell would have less than two pixels.
        instead: "grey", "mean" or "blur".
        max_pixels: Larger pictures are refused.
    """
    picture = decode_image(data, max_pixels, least_side=LEAST_SIDE)
    pixels_HWC = np.asarray(picture)
    height, width = pixels_HWC.shape[:2]
    rows, columns = (max(1, min(grid, side // 2)) for side in (height, width))
    ys, xs = (np.linspace(0, side, n + 1).round().astype(int) for side, n in ((height, rows), (width, columns)))
    boxes = [(xs[c], ys[r], xs[c + 1], ys[r + 1]) for r in range(rows) for c in range(columns)]
    background = _background(picture, pixels_HWC, instead)

    def hidden(kept_P: np.ndarray, draw: int) -> bytes:
        made = pixels_HWC.copy()
        for (left, top, right, bottom), kept in zip(boxes, kept_P, strict=True):
            if not kept:
                made[top:bottom, left:right] = background[top:bottom, left:right]
        out = io.BytesIO()
        Image.fromarray(made).save(out, "BMP")  # lossless, and no time is lost on compression
        return out.getvalue()

    parts = [
        {"box": [float(left / width), float(top / height), float(right / width), float(bottom / height)],
         "place": f"row {p // columns + 1}, column {p % columns + 1}"}
        for p, (left, top, right, bottom) in enumerate(boxes)
    ]  # fmt: skip
    shown = {"image_jpeg_base64": thumbnail(picture, side=LARGE_SIDE), "grid": [rows, columns]}
    words = {"grey": "grey", "mean": "the picture's mean colour", "blur": "the picture, blurred"}[instead]
    return Cut(parts, hidden, words, shown=shown)


def _background(picture: Image.Image, pixels_HWC: np.ndarray, instead: str) -> np.ndarray:
    if instead == "blur":
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(max(2.0, min(picture.size) / 12))))
    made = np.empty_like(pixels_HWC)
    made[:] = GREY if instead == "grey" else pixels_HWC.reshape(-1, 3).mean(axis=0).round()
    return made
