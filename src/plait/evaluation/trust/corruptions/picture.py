"""Pictures damaged: noise, blur, JPEG, contrast, occlusion, rotation. Pixels in uint8; an alpha channel stays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plait.evaluation.trust.corruptions.base import CORRUPTIONS, Corruption

Pixels = NDArray[np.uint8]
GREY = 128


def _colours(change: Callable[[Pixels, float, np.random.Generator], Any]) -> Callable[..., Pixels]:
    """The change applied to the colours of a picture [H, W] or [H, W, C], whose shape and alpha it keeps."""

    def changed(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
        flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] in (1, 2) else pixels
        colours = flat[..., :3] if flat.ndim == 3 else flat
        made = np.clip(np.rint(np.asarray(change(colours, strength, rng), dtype=np.float64)), 0, 255).astype(np.uint8)
        whole = pixels.copy()
        if pixels.ndim == 2:
            return made
        whole[..., : 1 if made.ndim == 2 else 3] = made[..., None] if made.ndim == 2 else made
        return whole

    return changed


def _noise(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    return pixels + 255.0 * strength * rng.standard_normal(pixels.shape)


def _blur(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    side = max(pixels.shape[:2])
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(strength * side))


def _jpeg(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=int(strength))
    return Image.open(packed).convert("L" if pixels.ndim == 2 else "RGB")


def _contrast(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    mean = pixels.mean()
    return mean + (1.0 - strength) * (pixels - mean)


def _occlusion(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    height, width = pixels.shape[:2]
    rows, columns = (max(1, round(side * strength**0.5)) for side in (height, width))
    y, x = (int(rng.random() * (side - part + 1)) for side, part in ((height, rows), (width, columns)))
    made = pixels.copy()
    made[y : y + rows, x : x + columns] = GREY
    return made


def _rotation(pixels: Pixels, strength: float, rng: np.random.Generator) -> Any:
    angle = strength if rng.random() < 0.5 else -strength
    fill = GREY if pixels.ndim == 2 else (GREY,) * pixels.shape[2]
    return Image.fromarray(pixels).rotate(angle, Image.Resampling.BILINEAR, fillcolor=fill)


PICTURES = ("image", "image_set")
for name, strengths, what, change in (
    ("noise", (0.04, 0.08, 0.14, 0.22, 0.35), "standard deviation of the noise, of the range of a pixel", _noise),
    ("blur", (0.005, 0.01, 0.02, 0.04, 0.08), "radius of a Gaussian blur, of the longer side", _blur),
    ("jpeg", (50, 30, 15, 8, 3), "quality of the JPEG, 1 to 100", _jpeg),
    ("contrast", (0.3, 0.5, 0.7, 0.85, 0.95), "part of the contrast taken away", _contrast),
    ("occlusion", (0.05, 0.12, 0.22, 0.35, 0.5), "part of the picture under a grey rectangle", _occlusion),
    ("rotation", (8.0, 16.0, 30.0, 55.0, 90.0), "degrees turned", _rotation),
):
    CORRUPTIONS.add(f"image_{name}", Corruption(PICTURES, strengths, what, _colours(change)))
