"""Pictures that are held in memory: PIL images and arrays of pixels, as the bytes of a PNG file.

In: a PIL image of any mode, or an array [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels (2 with the channels
last: grey and transparency). Out: PNG, which keeps every pixel, so that equal pixels have equal bytes and equal keys.
Eight and sixteen bits of grey stay as they are; what PNG or Pillow cannot hold (floats, sixteen bits of colour) is
rounded to the eight bits that encoders see. Nothing is stretched: a range that could mean two things is an error.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.registry import counted

if TYPE_CHECKING:
    from PIL import Image

_CHANNELS = (1, 2, 3, 4)
_COLOUR = (1, 3, 4)  # what may stand first
_FAST = 1  # zlib's level; a PNG in memory need not be small
_ORIENTATION = 0x0112

Pixels = np.ndarray[Any, Any]


def is_pil_image(value: object) -> bool:
    """Whether a value is a PIL image; does not import Pillow."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def is_picture_shape(shape: tuple[int, ...]) -> bool:
    """Whether an array of three dimensions is shaped like a picture, channels last or first.

    Example:
        >>> is_picture_shape((4, 5, 3)), is_picture_shape((3, 4, 5)), is_picture_shape((7, 8, 9))
        (True, True, False)
    """
    return len(shape) == 3 and (shape[2] in _CHANNELS or shape[0] in _COLOUR) and min(shape) > 0


def is_grey_picture(array: Pixels) -> bool:
    """Whether an array of two dimensions is of a type that pixels have and vectors do not."""
    return array.ndim == 2 and array.dtype in (np.uint8, np.uint16, np.bool_) and array.size > 0


def picture_bytes(value: Any, *, channels_first: bool = False) -> bytes:
    """A picture as PNG.

    Args:
        value: A PIL image, an array or nested lists.
        channels_first: Where an array's shape allows both, its first dimension is that of the channels.

    Raises:
        ValueError: No picture, no pixels, values of a range that could mean two things, or an image that cannot be
            loaded; the message says what to write.

    Example:
        >>> picture_bytes(np.zeros((2, 2, 3), np.uint8)) == picture_bytes(np.zeros((2, 2, 3)))
        True
    """
    if is_pil_image(value):
        return _png(_storable(value))
    array = np.asarray(value)
    if array.ndim == 3 and is_picture_shape(array.shape):
        last = array.shape[2] in _CHANNELS
        first = array.shape[0] in _COLOUR
        if first and (channels_first or not last):
            array = array.transpose(1, 2, 0)
        array = array[:, :, 0] if array.shape[2] == 1 else array
    elif array.ndim == 1:
        raise ValueError(
            f"an array of {counted(array.size, 'number')} in a row; expected a picture ([H, W], [H, W, 3]) or, for a "
            "sound, {'array': samples, 'sampling_rate': rate}"
        )
    elif array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"an array of shape {list(array.shape)} is no picture; expected [H, W], [H, W, 3], [H, W, 4] or [3, H, W]"
        )
    return _png(_from_levels(_levels(array)))


def _from_levels(levels: Pixels) -> Image.Image:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(levels))


def _levels(array: Pixels) -> Pixels:
    """An array's values as uint8, or as uint16 where it is grey of that type."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "uif":
        raise ValueError(f"an array of {array.dtype} is no picture; expected uint8, uint16, or floats from 0 to 1")
    if array.dtype == np.uint16:
        return array if array.ndim == 2 else np.rint(array / 257).astype(np.uint8)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("a picture with NaN or infinite values; fill or leave out its pixels first")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and 0 <= low and high <= 1:
        return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    if array.dtype.kind != "f" and 0 <= low and high <= 255:
        return array.astype(np.uint8)
    raise ValueError(
        f"a picture of {array.dtype} from {low:g} to {high:g}; expected uint8, uint16, or floats from 0 to 1: "
        + _cast(array.dtype.kind, low, high)
    )


def _cast(kind: str, low: float, high: float) -> str:
    if low < 0:
        return "undo its normalisation first (array * std + mean)"
    if high <= 255:
        return "write array.astype('uint8') if white is 255"
    if high <= 65535:
        return "write array.astype('uint16') if white is 65535"
    return "divide it by its value of white" if kind == "f" else "write array / white, where white is its largest value"


def _storable(image: Image.Image) -> Image.Image:
    """An image of a mode that PNG holds, turned as EXIF says, without anything but its pixels."""
    from PIL import ImageOps

    try:
        image.load()
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
    except MemoryError:  # says nothing against the picture
        raise
    except Exception as error:  # a file that is closed or broken raises many types
        raise ValueError(f"a PIL image that cannot be loaded ({type(error).__name__}: {str(error)[:160]})") from error
    if min(image.size) < 1:
        raise ValueError(f"a PIL image of {image.width} x {image.height} pixels; expected 1 x 1 at least")
    if image.mode.startswith("I;16"):
        return _from_levels(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        return _from_levels(_deep(image))
    try:
        straight = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(image.mode, image.mode)
        if "transparency" in image.info and straight not in ("LA", "RGBA"):
            straight = "RGBA"
        elif straight not in ("1", "L", "LA", "RGB", "RGBA"):
            straight = "RGB"
        made = image if image.mode == straight else image.convert(straight)
    except ValueError as error:
        raise ValueError(f"a PIL image of mode {image.mode} ({error}); write image.convert('RGB')") from error
    made = made.copy()
    made.info.clear()  # resolution, profiles and dates would change the bytes, and so the key
    return made


def _deep(image: Image.Image) -> Pixels:
    """The levels of an image of mode I or F, where its range is that of one depth only."""
    values = np.asarray(image)
    high = float(values.max())
    if image.mode == "I" and 255 < high <= 65535 and float(values.min()) >= 0:
        return values.astype(np.uint16)
    if image.mode == "I" and high <= 255:
        raise ValueError(
            f"a PIL image of mode I up to {high:g}; write image.convert('L') if white is 255, "
            "image.convert('I;16') if it is 65535"
        )
    return _levels(values)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=_FAST)
    return out.getvalue()
