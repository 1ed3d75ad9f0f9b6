"""Image bytes to pixels as ``open_clip`` makes them: resized by Pillow at full size, cut or filled up, normalised.

In: the bytes of image files. Out: ``pixel_values`` [B, 3, H, W]. Three ways to one size: the short side fits and the
middle is kept ("shortest"), the long side fits and the rest is filled with one colour ("longest"), or the sides are
stretched ("squash"). Unlike :class:`plait.processors.ImageProcessor` nothing is decoded at a reduced size and no aspect
is special, so that pixels equal that library's for RGB and grey pictures; it resizes transparent ones and those of a
palette before they become RGB, here they become RGB first.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from plait.data.cell_error import CellError
from plait.data.picture import MAX_PIXELS, decode_image, memory_reason
from plait.processors.description import settings_sha256, write_settings
from plait.processors.image import INTERPOLATIONS, NUM_THREADS

MODES = ("shortest", "longest", "squash")
MOST_ASPECT = 32  # of a picture of which the middle is kept; beyond it the ends are left out before it is resized


class PillowImageProcessor:
    """Resize by Pillow, cut or fill up, normalise.

    Args:
        height: Of what comes out, in pixels.
        width: Of what comes out, in pixels.
        mean: Mean of each channel, of values between 0 and 1.
        std: Standard deviation of each channel.
        interpolation: "bicubic" or "bilinear".
        mode: "shortest", "longest" or "squash".
        fill: Level from 0 to 255 that fills up.
        max_pixels: Larger images are refused.

    Raises:
        ValueError: A setting that is not among these.
    """

    kind = "image"

    def __init__(
        self, height: int, width: int, mean: tuple[float, ...], std: tuple[float, ...], *,
        interpolation: str = "bicubic", mode: str = "shortest", fill: int = 0, max_pixels: int = MAX_PIXELS,
    ) -> None:  # fmt: skip
        if mode not in MODES or interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"mode is {mode!r} and interpolation {interpolation!r}; expected one of {', '.join(MODES)}, and one of "
                f"{', '.join(INTERPOLATIONS)}"
            )
        if min(height, width) < 1 or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"expected sides of 1 pixel or more, and three std above 0; got {height}, {width}, {std}")
        self.height, self.width, self.mode, self.fill = int(height), int(width), mode, int(fill)
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        self.interpolation, self.max_pixels = interpolation, int(max_pixels)

    def process(self, images: list[bytes]) -> dict[str, Tensor]:
        """Decode and prepare images.

        Returns:
            ``pixel_values``, float32 [B, 3, height, width].

        Raises:
            CellError: An image is broken, truncated, too large or of no known format; a note names its position.
        """
        if len(images) < 4:
            arrays = [self._numbered(pair) for pair in enumerate(images)]
        else:
            with ThreadPoolExecutor(max_workers=NUM_THREADS) as pool:
                arrays = list(pool.map(self._numbered, enumerate(images)))
        bytes_BHWC = np.stack(arrays) if arrays else np.zeros((0, self.height, self.width, 3), np.uint8)
        values = torch.from_numpy(np.ascontiguousarray(bytes_BHWC.transpose(0, 3, 1, 2))).float() / 255
        return {"pixel_values": (values - _channels(self.mean)) / _channels(self.std)}

    @property
    def side(self) -> int | None:
        """Side of the square that comes out; None where none does."""
        return self.height if self.height == self.width else None

    @property
    def statistics(self) -> dict[str, Any]:
        """Mean, standard deviation and filter, for other sizes."""
        return {"mean": self.mean, "std": self.std, "interpolation": self.interpolation}

    @property
    def example(self) -> dict[str, Tensor]:
        """What is made of one black picture."""
        return {"pixel_values": torch.zeros(1, 3, self.height, self.width)}

    def fit(self, image: Image.Image) -> Image.Image:
        """An RGB picture at the size that the encoder sees."""
        filter_kind = INTERPOLATIONS[self.interpolation]
        if self.mode == "squash":
            return image.resize((self.width, self.height), filter_kind)
        if self.mode == "shortest":  # a line of pixels would become a picture of gigabytes
            longest = MOST_ASPECT * min(image.size) * max(self.width, self.height) // min(self.width, self.height)
            image = _middle(image, min(image.width, longest), min(image.height, longest))
        if self.mode == "shortest" and self.width == self.height:  # the long side is rounded down
            short, long = sorted(image.size)
            sides = {short: self.width, long: int(self.width * long / short)}
            image = image.resize((sides[image.width], sides[image.height]), filter_kind)
        else:
            ratios = image.width / self.width, image.height / self.height
            ratio = max(ratios) if self.mode == "longest" else min(ratios)
            size = (max(1, round(image.width / ratio)), max(1, round(image.height / ratio)))
            image = image.resize(size, filter_kind)
        return self._cut(self._filled(image))

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {
            "type": "pillow-image", "height": self.height, "width": self.width, "mean": list(self.mean),
            "std": list(self.std), "interpolation": self.interpolation, "mode": self.mode, "fill": self.fill,
            "max_pixels": self.max_pixels,
        }  # fmt: skip

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> PillowImageProcessor:
        """Rebuild from ``to_json``."""
        settings = {key: value for key, value in description.items() if key != "type"}
        return cls(**{**settings, "mean": tuple(settings["mean"]), "std": tuple(settings["std"])})

    @property
    def fingerprint(self) -> str:
        """Hash of the settings that change pixels (the size limit changes none)."""
        return settings_sha256({key: value for key, value in self.to_json().items() if key != "max_pixels"})

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)

    def _filled(self, image: Image.Image) -> Image.Image:
        wide, high = max(0, self.width - image.width), max(0, self.height - image.height)
        if not wide and not high:
            return image
        border = (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2)
        return ImageOps.expand(image, border, (self.fill,) * 3)

    def _cut(self, image: Image.Image) -> Image.Image:
        return _middle(image, self.width, self.height)

    def _numbered(self, pair: tuple[int, bytes]) -> np.ndarray:
        position, data = pair
        try:
            picture = decode_image(data, self.max_pixels)
            try:
                return np.asarray(self.fit(picture), dtype=np.uint8)
            except MemoryError as error:
                raise CellError(memory_reason(picture.size)) from error
        except CellError as error:
            error.add_note(f"image {position} of the batch")
            raise


def _middle(image: Image.Image, width: int, height: int) -> Image.Image:
    if (width, height) == image.size:
        return image
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]
