"""Image bytes to pixels.

In: the bytes of JPEG, PNG, WEBP, GIF, BMP or TIFF files. Out: ``pixel_values`` [B, 3, S, S], or [B, K, 3, S, S]: the
whole picture and K - 1 crops of it, whose vectors an encoder averages.

Decoding is that of :mod:`plait.data.picture`, at a reduced size where a JPEG is much larger than wanted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from plait.data.cell_error import CellError
from plait.data.picture import MAX_PIXELS, decode_image, memory_reason
from plait.processors.description import settings_sha256, write_settings

if TYPE_CHECKING:
    from torch import Tensor

MODES = ("crop", "squash", "squash_crop")
CROP_SHARE = 0.7  # of each side, of a corner crop
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = (0, 0), (1, 0), (0, 1), (1, 1)
CROPS: dict[str, tuple[tuple[int, int], ...]] = {  # corners beside the whole picture, as (right, bottom)
    "whole": (),
    "diagonal": (TOP_LEFT, BOTTOM_RIGHT),
    "corners": (TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT),
    "six": (TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT),
}
MIRRORED = ("six",)  # the mirror image of the whole picture too
INTERPOLATIONS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
LONGEST_ASPECT = 8  # beyond it the middle is cut out before the resize, which would blow up the long side
NUM_THREADS = min(8, os.cpu_count() or 1)


class ImageProcessor:
    """Resize, cut and normalise images.

    Args:
        size: Side of the square that comes out, in pixels.
        mean: Mean of each channel, of values between 0 and 1.
        std: Standard deviation of each channel.
        interpolation: "bicubic", "bilinear", "lanczos" or "nearest".
        crop_pct: In mode "crop" the short side becomes ``size / crop_pct`` and the middle is kept; in "squash_crop"
            both sides do.
        mode: "crop", "squash" (the whole picture, its sides stretched to the square) or "squash_crop".
        max_pixels: Larger images are refused.
        flip_channels: Blue first, as some networks were trained; mean and std are those of the flipped channels.
        crops: "whole" (the picture alone), "diagonal" (and its top left and bottom right corners), "corners" (and its
            four corners) or "six" (and its four corners and its mirror image). A corner has 70 % of each side.
    """

    kind = "image"

    def __init__(
        self,
        size: int,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        interpolation: str = "bicubic",
        crop_pct: float = 1.0,
        mode: str = "crop",
        max_pixels: int = MAX_PIXELS,
        flip_channels: bool = False,
        crops: str = "whole",
    ) -> None:
        if not 1 <= size <= 4096:
            raise ValueError(f"size is {size}; expected a number of pixels between 1 and 4096")
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; expected one of {', '.join(MODES)}")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation is {interpolation!r}; expected one of {', '.join(INTERPOLATIONS)}")
        if not 0 < crop_pct <= 1:
            raise ValueError(f"crop_pct is {crop_pct}; expected more than 0 and at most 1")
        if crops not in CROPS:
            raise ValueError(f"crops is {crops!r}; expected one of {', '.join(CROPS)}")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std need three values each, std above 0; got {mean} and {std}")
        self.size = int(size)
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.interpolation = interpolation
        self.crop_pct = float(crop_pct)
        self.mode = mode
        self.max_pixels = int(max_pixels)
        self.flip_channels = bool(flip_channels)
        self.crops = crops

    def process(self, images: list[bytes]) -> dict[str, Tensor]:
        """Decode and prepare images.

        Args:
            images: The bytes of one file an item.

        Returns:
            ``pixel_values``, float32 [B, 3, size, size], or [B, K, 3, size, size] with crops: the whole picture first.

        Raises:
            CellError: An image is broken, truncated, too large or of no known format; a note names its
            position.
        """
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(images))

    def arrays(self, images: list[bytes]) -> dict[str, np.ndarray]:
        """The same as arrays."""
        if not images:
            return {"pixel_values": np.zeros((0, *self._num_views(), 3, self.size, self.size), dtype=np.float32)}
        if len(images) < 4:
            arrays = [self._numbered(pair) for pair in enumerate(images)]
        else:
            with ThreadPoolExecutor(max_workers=NUM_THREADS) as pool:
                arrays = list(pool.map(self._numbered, enumerate(images)))
        bytes_BHWC = np.concatenate(arrays)
        if self.flip_channels:
            bytes_BHWC = bytes_BHWC[..., ::-1]
        values = np.ascontiguousarray(bytes_BHWC.transpose(0, 3, 1, 2)).astype(np.float32)
        values /= np.float32(255)
        values -= np.array(self.mean, dtype=np.float32)[:, None, None]
        values /= np.array(self.std, dtype=np.float32)[:, None, None]
        return {"pixel_values": values.reshape(len(images), *self._num_views(), 3, self.size, self.size)}

    def fit_image(self, image: Image.Image) -> Image.Image:
        """The square that the encoder sees, before normalisation, of an RGB picture."""
        filter_kind = INTERPOLATIONS[self.interpolation]
        if self.mode == "squash":
            return image.resize((self.size, self.size), filter_kind)
        if self.mode == "squash_crop":
            side = self._short_side()
            start = round((side - self.size) / 2)
            square = image.resize((side, side), filter_kind)
            return square.crop((start, start, start + self.size, start + self.size))
        width, height = image.size
        short = min(width, height)
        longest = LONGEST_ASPECT * short
        if max(width, height) > longest:
            left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
            image = image.crop((left, top, left + min(width, longest), top + min(height, longest)))
            width, height = image.size
        target = self._short_side()
        width, height = max(target, int(target * width / short)), max(target, int(target * height / short))
        image = image.resize((width, height), filter_kind)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return image.crop((left, top, left + self.size, top + self.size))

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        description = {
            "type": "image",
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "crop_pct": self.crop_pct,
            "mode": self.mode,
            "max_pixels": self.max_pixels,
        }
        told = {"flip_channels": True} if self.flip_channels else {}
        return description | told | ({} if self.crops == "whole" else {"crops": self.crops})

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> ImageProcessor:
        """Rebuild from ``to_json``."""
        settings = {key: value for key, value in description.items() if key != "type"}
        return cls(**{**settings, "mean": tuple(settings["mean"]), "std": tuple(settings["std"])})

    @property
    def fingerprint(self) -> str:
        """Hash of the settings that change pixels (the size limit changes none)."""
        return settings_sha256({k: v for k, v in self.to_json().items() if k != "max_pixels"})

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)

    def _short_side(self) -> int:
        return max(self.size, math.floor(self.size / self.crop_pct + 1e-6))  # timm rounds down too

    def _num_views(self) -> tuple[int, ...]:
        """One more side of the tensors, where there are crops."""
        return () if self.crops == "whole" else (1 + len(CROPS[self.crops]) + (self.crops in MIRRORED),)

    def _views(self, picture: Image.Image) -> Iterator[Image.Image]:
        """The whole picture, its corners, its mirror image."""
        yield picture
        width, height = (max(1, round(CROP_SHARE * side)) for side in picture.size)
        for right, bottom in CROPS[self.crops]:
            left, top = right * (picture.width - width), bottom * (picture.height - height)
            yield picture.crop((left, top, left + width, top + height))
        if self.crops in MIRRORED:
            yield picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    def _numbered(self, pair: tuple[int, bytes]) -> np.ndarray:
        """The views of one picture, uint8 [K, size, size, 3]."""
        position, data = pair
        side = self.size if self.mode == "squash" else self._short_side()
        if self.crops != "whole":
            side = math.ceil(side / CROP_SHARE)
        try:
            picture = decode_image(data, self.max_pixels, least_side=side)
            try:
                return np.stack([np.asarray(self.fit_image(view), dtype=np.uint8) for view in self._views(picture)])
            except MemoryError as error:
                raise CellError(memory_reason(picture.size)) from error
        except CellError as error:
            error.add_note(f"image {position} of the batch")
            raise
