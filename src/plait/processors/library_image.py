"""Image bytes to what an image processor of ``transformers`` makes of them.

In: the bytes of image files, decoded as :func:`plait.data.picture.decode_image` does, at full size. Out:
``pixel_values`` and whatever else the network's authors feed it. Resize, crop, rescale, normalisation and the order of
channels are those of the folder's processor file, by the library's own code, so that pixels equal the authors'.
"""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plait.data.cell_error import CellError
from plait.data.picture import MAX_PIXELS, decode_image, memory_reason
from plait.processors.description import settings_sha256, write_settings
from plait.processors.image import NUM_THREADS
from plait.registry import first_line
from plait.weights.quiet import quiet_transformers

FILES = ("preprocessor_config.json", "processor_config.json")
PROBES = ((96, 31), (31, 96))  # width and height: a wide and a tall photo
FAILURES = (TypeError, ValueError, KeyError, AttributeError, RuntimeError, ImportError)
GIVEN_ANEW = ("return_tensors", "data_format", "device", "processor_class", "_processor_class")


class LibraryImageProcessor:
    """An image processor of ``transformers``, one picture at a time.

    Args:
        settings: Its settings, with its class under ``image_processor_type``.
        max_pixels: Larger images are refused.

    Raises:
        ValueError: No image processor of that name, or settings that it does not take.
    """

    kind = "image"

    def __init__(self, settings: dict[str, Any], max_pixels: int = MAX_PIXELS) -> None:
        self.settings = json.loads(json.dumps(settings, sort_keys=True))  # the same before and after a trip to disk
        self.max_pixels = int(max_pixels)
        name = str(self.settings.get("image_processor_type"))
        given = {key: value for key, value in self.settings.items() if key != "image_processor_type"}
        try:
            self._library = _processor_class(name)(**given)
        except FAILURES as error:
            raise _does_not_run(name, error) from error

    @functools.cached_property
    def example(self) -> dict[str, Tensor]:
        """What is made of one grey picture.

        Raises:
            ValueError: The processor fails, or its output has another shape for wide than for tall pictures.
        """
        name = str(self.settings["image_processor_type"])
        try:
            made = [self._pixels(Image.new("RGB", size, "grey")) for size in PROBES]
        except FAILURES as error:
            raise _does_not_run(name, error) from error
        shapes = [{key: tuple(tensor.shape) for key, tensor in one.items()} for one in made]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the image processor {name} gives wide and tall pictures different shapes, which cannot stand in one "
                "batch; give an image size (encoders.image_size) to feed squares"
            )
        return made[0]

    def process(self, images: list[bytes]) -> dict[str, Tensor]:
        """Decode and prepare images.

        Args:
            images: The bytes of one file an item.

        Returns:
            ``pixel_values``, float32 [B, ...], and what else the processor gives, [B, ...].

        Raises:
            CellError: An image is broken, truncated, too large or of no known format; a note names its position.
        """
        if not images:
            return {key: tensor[:0] for key, tensor in self.example.items()}
        if len(images) < 4:
            parts = [self._numbered(pair) for pair in enumerate(images)]
        else:
            with ThreadPoolExecutor(max_workers=NUM_THREADS) as pool:
                parts = list(pool.map(self._numbered, enumerate(images)))
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}

    @property
    def side(self) -> int | None:
        """Side of the square that comes out; None where none does."""
        try:
            shape = self.example["pixel_values"].shape
        except ValueError:
            return None
        return int(shape[-1]) if len(shape) == 4 and shape[-1] == shape[-2] else None

    @property
    def statistics(self) -> dict[str, Any]:
        """Mean and standard deviation of values between 0 and 1, filter and order of channels, for other sizes."""
        return _statistics(self._library)

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {"type": "library-image", "settings": self.settings, "max_pixels": self.max_pixels}

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> LibraryImageProcessor:
        """Rebuild from ``to_json``."""
        return cls(description["settings"], int(description["max_pixels"]))

    @property
    def fingerprint(self) -> str:
        """Hash of the settings that change pixels (the size limit changes none)."""
        return settings_sha256({"type": "library-image", "settings": self.settings})

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)

    def _numbered(self, pair: tuple[int, bytes]) -> dict[str, Tensor]:
        position, data = pair
        try:
            return self._pixels(decode_image(data, self.max_pixels))
        except CellError as error:
            error.add_note(f"image {position} of the batch")
            raise

    def _pixels(self, image: Image.Image) -> dict[str, Tensor]:
        try:
            made = self._library(images=[image], return_tensors="pt", input_data_format="channels_last")
        except (ValueError, RuntimeError) as error:
            raise CellError(
                f"an image of {image.width} x {image.height} pixels is refused by the processor of the encoder "
                f"({' '.join(str(error).split())[:120]})"
            ) from error
        except MemoryError as error:
            raise CellError(memory_reason(image.size)) from error
        return {key: value for key, value in made.items() if isinstance(value, Tensor)}


def read_library_processor(folder: Path) -> LibraryImageProcessor | None:
    """The image processor that a folder declares; None where it declares none.

    Raises:
        ValueError: It declares one that ``transformers`` does not know or that needs code of its own.
    """
    if not any((folder / name).is_file() for name in FILES):
        return None
    with quiet_transformers():
        try:
            found = _read(folder)
        except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
            raise ValueError(
                f"the image processor in {str(folder)!r} could not be read: {first_line(error)[:200]}"
            ) from error
    settings = {key: value for key, value in found.to_dict().items() if key not in GIVEN_ANEW}
    return LibraryImageProcessor({**settings, "image_processor_type": type(found).__name__})


def _read(folder: Path) -> Any:
    from transformers import AutoImageProcessor, ViTImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except ValueError:
        path = folder / FILES[0]
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if "size" not in stored or {"image_processor_type", "feature_extractor_type", "auto_map"} & set(stored):
            raise
        return ViTImageProcessor.from_pretrained(str(folder), local_files_only=True)  # follows every usual setting


def _does_not_run(name: str, error: Exception) -> ValueError:
    detail = " ".join(str(error).split())[:160] or type(error).__name__
    return ValueError(f"the image processor {name} does not run with the folder's settings: {detail}")


def _processor_class(name: str) -> Any:
    """A class of ``transformers`` by name, nothing but an image processor."""
    import transformers
    from transformers.image_processing_utils import BaseImageProcessor

    found = getattr(transformers, name, None) if "ImageProcessor" in name else None
    if not (isinstance(found, type) and issubclass(found, BaseImageProcessor)):
        raise ValueError("transformers has no image processor of that name")
    return found


def _statistics(library: Any) -> dict[str, Any]:
    """Rescaling, its offset and normalisation as one mean and one deviation of values between 0 and 1."""
    factor = float(library.rescale_factor) * 255 if library.do_rescale else 255.0
    shift = 1.0 if library.do_rescale and getattr(library, "rescale_offset", False) else 0.0
    means, stds = [shift / factor] * 3, [1 / factor] * 3
    if library.do_normalize:
        deviations = [float(value) for value in library.image_std]
        again = deviations if getattr(library, "include_top", False) else [1.0] * 3  # EfficientNet divides twice
        means = [(float(mean) + shift) / factor for mean in library.image_mean]
        stds = [first * second / factor for first, second in zip(deviations, again, strict=True)]
    filters = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
    return {
        "mean": tuple(means), "std": tuple(stds), "interpolation": filters.get(int(library.resample), "bicubic"),
        "flip_channels": bool(getattr(library, "do_flip_channel_order", False)),
    }  # fmt: skip
