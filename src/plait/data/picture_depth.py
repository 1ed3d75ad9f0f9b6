"""Pictures of more than eight bits a channel as eight bits, by the depth that the file declares.

A camera of twelve bits stores 0 to 4095 in sixteen, and read as sixteen bits its pictures are almost black. The depth
is taken from the file: the chunk sBIT of a PNG, and of a TIFF its BitsPerSample or a MaxSampleValue that is all ones
(4095). Without a declared depth white is 65535 and nothing is guessed, for a guess from the values would brighten dark
pictures; :func:`unused_bits` finds the pictures that leave the doubt, so that it can be said. Work goes strip by strip:
a picture of sixteen bits costs little more memory than one of eight.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from plait.data.cell_error import CellError

STRIP_PIXELS = 1 << 20
LIKELY_BITS = (8, 10, 12, 14)
_LOW_BYTES = {"RGB": "RGB;16L", "RGBA": "RGBA;16L"}  # of samples stored high byte first these unpack the low byte
_Array = np.ndarray[Any, Any]


def is_deep_grey(image: Image.Image) -> bool:
    """Whether a picture has one channel of more than eight bits."""
    return image.mode.startswith("I") or image.mode == "F"


def grey_to_8_bits(image: Image.Image, data: bytes = b"") -> Image.Image:
    """16-bit, 32-bit and float greys as mode "L".

    16-bit values are scaled by the declared depth. 32-bit integers within 0 to 65535 count as 16-bit, floats within 0
    to 1 as shares of white; others are stretched from their smallest to their largest value.

    Raises:
        CellError: Values that are NaN or infinite.
    """
    low, high, used = _extent(image)
    if image.mode == "F" and 0 <= low and high <= 1:
        black, white = 0.0, 1.0
    elif image.mode != "F" and 0 <= low and high <= 65535:
        black, white = 0.0, float(_white(image, data, high, used))
    else:
        black, white = low, high
    scale = 255 / (white - black) if white > black else 0.0
    inverted = _white_is_zero(image)
    clear = image.info.get("transparency")  # a grey PNG may name one value as transparent
    out = Image.new("L", image.size)
    for top, values in _strips(image):
        grey = (values - np.float64(black)) * scale
        grey = np.round(255 - grey if inverted else grey).astype(np.uint8)
        if isinstance(clear, int):
            grey[values == clear] = 255
        out.paste(Image.fromarray(grey), (0, top))
    return out


def colour_to_8_bits(image: Image.Image, data: bytes, reopen: Callable[[], Image.Image]) -> Image.Image:
    """A loaded colour picture whose file holds 16-bit channels of a smaller declared depth, scaled by that depth.

    Pillow keeps the high byte of such channels, which is all there is to see in a picture of full range.

    Args:
        image: The picture as Pillow loads it.
        data: The bytes of the file.
        reopen: Opens the file once more, for the low bytes.
    """
    bits = _declared_bits(image, data)
    if bits is None or bits >= 16 or not _has_16_bit_channels(image, data):
        return image
    high_byte = max(high for _, high in _bands(image.getextrema()))
    if high_byte >> (bits - 8) or image.mode not in _LOW_BYTES:
        return image
    lows = _low_bytes(image, reopen)
    out = Image.new(image.mode, image.size)
    used = functools.reduce(operator.or_, (int(np.bitwise_or.reduce(strip, axis=None)) for _, strip in _strips(lows)))
    if _fills_16_bits(image, bits, used):
        return image
    for (top, strip), (_, low) in zip(_strips(image), _strips(lows), strict=True):
        values = strip.astype(np.uint16) << 8 | low
        out.paste(Image.fromarray(np.round(values * (255 / ((1 << bits) - 1))).clip(0, 255).astype(np.uint8)), (0, top))
    return out


def unused_bits(image: Image.Image, data: bytes) -> int | None:
    """The depth, 8 to 14 bits, that would hold every value of a 16-bit picture that declares none.

    None where the values need more, the depth is declared, the picture is black, or it is of another kind. Only then
    is anything decoded.
    """
    if _declared_bits(image, data) is not None:
        return None
    if image.mode.startswith("I"):  # whole numbers of 32 bits up to 65535 count as 16
        low, top, _ = _extent(image)
        high = int(top) if low >= 0 else 0
    elif _has_16_bit_channels(image, data):
        high = max(high for _, high in _bands(image.getextrema())) << 8 | 255
        high = 0 if high == 255 else high
    else:
        return None
    if high == 0:
        return None
    return next((bits for bits in LIKELY_BITS if high < 1 << bits), None)


def _strips(image: Image.Image) -> Iterator[tuple[int, _Array]]:
    """The values of some rows at a time, with the number of the first."""
    height = max(1, STRIP_PIXELS // max(1, image.width))
    unsigned = image.mode == "I" and _tag(image, 339) in (None, 1)
    for top in range(0, image.height, height):
        strip = np.asarray(image.crop((0, top, image.width, min(image.height, top + height))))
        yield top, strip.view(np.uint32) if unsigned and image.format == "TIFF" else strip


def _extent(image: Image.Image) -> tuple[float, float, int]:
    """Smallest and largest value, and which bits of integers are used at all."""
    lows, highs, used = [], [], 0
    for _, values in _strips(image):
        lows.append(float(values.min()))
        highs.append(float(values.max()))
        if not (np.isfinite(lows[-1]) and np.isfinite(highs[-1])):
            raise CellError("the image holds values that are not numbers (NaN or infinite)")
        if image.mode != "F":
            used |= int(np.bitwise_or.reduce(values, axis=None))
    return min(lows), max(highs), used


def _white(image: Image.Image, data: bytes, high: float, used: int) -> int:
    bits = _declared_bits(image, data)
    if bits is None or bits >= 16 or high >= 1 << bits or _fills_16_bits(image, bits, used):
        return 65535
    return (1 << bits) - 1


def _fills_16_bits(image: Image.Image, bits: int, used: int) -> bool:
    """Whether values of this depth were scaled to sixteen bits, as a PNG wants them; their lowest bits are zero then.

    Only asked of values that would fit the depth: a picture that was scaled and is dark.
    """
    return image.format == "PNG" and used & ((1 << (16 - bits)) - 1) == 0


def _declared_bits(image: Image.Image, data: bytes) -> int | None:
    """How many of the bits of each channel the file says to use; None where it does not."""
    if image.format == "PNG":
        return _png_bits(data)
    if image.format != "TIFF":
        return None
    stored, largest = _tag(image, 258), _tag(image, 281)
    if isinstance(stored, int) and 8 < stored < 16:
        return stored
    if isinstance(largest, int) and 255 <= largest < 65535 and largest & (largest + 1) == 0:
        return largest.bit_length()  # other values are the picture's own maximum, no depth
    return None


def _png_bits(data: bytes) -> int | None:
    """The largest number of the chunk sBIT, which stands before the pixels."""
    place = 8
    while place + 8 <= len(data):
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if name in (b"IDAT", b"PLTE"):
            return None
        if name == b"sBIT":
            bits = max(data[place + 8 : place + 8 + size], default=0)
            return bits if 0 < bits <= 16 else None
        place += 12 + size
    return None


def _has_16_bit_channels(image: Image.Image, data: bytes) -> bool:
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    return data[24:25] == b"\x10" if image.format == "PNG" else _tag(image, 258) == 16


def _low_bytes(image: Image.Image, reopen: Callable[[], Image.Image]) -> Image.Image:
    again: Any = reopen()  # Pillow types no tiles
    is_swapped = again.format == "TIFF" and again.tag_v2.prefix == b"II"
    raw = _LOW_BYTES[image.mode].replace("L", "B") if is_swapped else _LOW_BYTES[image.mode]
    again.tile = [tile._replace(args=_with_raw_mode(tile.args, raw)) for tile in again.tile]
    again.load()
    lows: Image.Image = again
    return lows


def _with_raw_mode(args: Any, raw: str) -> Any:
    return raw if isinstance(args, str) else (raw, *args[1:])


def _white_is_zero(image: Image.Image) -> bool:
    return image.format == "TIFF" and image.mode.startswith("I;16") and _tag(image, 262) == 0


def _tag(image: Image.Image, number: int) -> Any:
    """The first value of a tag of a TIFF; None where there is none."""
    tags = getattr(image, "tag_v2", None)
    value = tags.get(number) if tags is not None else None
    return value[0] if isinstance(value, tuple) and value else value


def _bands(extrema: Any) -> list[tuple[int, int]]:
    return [extrema] if isinstance(extrema[0], int | float) else list(extrema)
