"""Image bytes to the RGB picture that a person would see, by one way for the examination and for the model.

EXIF rotation is applied, transparency laid on white, high depths scaled (:mod:`plait.data.picture_depth`), CMYK, Lab,
grey and palette images are right, and of an animation the first frame counts. A broken, cut or oversized file is a
:class:`~plait.data.media.CellError`. Large JPEGs are decoded at a reduced size where that is enough.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from plait.data.cell_error import NO_FAULT, CellError, described, short
from plait.data.decoder_noise import without_decoder_lines, without_warnings
from plait.data.media import IMAGE_FORMATS, has_image_magic
from plait.data.memory import reserved

if TYPE_CHECKING:
    from PIL import Image

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its errors reach stderr through logging.lastResort

MAX_PIXELS = 64_000_000
DRAFT_GAP = 2  # a JPEG is decoded at no less than twice the wanted size, so that the resize still decides the quality
CHECKED_SIDE = 64
PEAK_BYTES = 16  # of memory a pixel, at most: what Pillow decodes into (WebP: twice), and what is made of it


def open_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image by its header only: the format is allowed and the size is within the limit.

    Pixels are not decoded yet, so a bomb costs nothing; use :func:`check_image` to know that they do decode.

    Raises:
        CellError: Not an image of an allowed format, a broken header, or more than ``max_pixels`` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise CellError("the image holds 0 bytes")
    try:
        with without_warnings():
            image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except Image.DecompressionBombError as error:
        raise CellError(f"the image has too many pixels ({short(error)})") from error
    except UnidentifiedImageError as error:
        raise CellError(_not_an_image(data)) from error
    except MemoryError as error:
        raise CellError(f"opening the image needs more memory than there is; {NO_FAULT}") from error
    except Exception as error:  # decoders raise anything on hostile bytes: SyntaxError, IndexError ...
        raise CellError(f"the image header is broken ({short(error)})") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise CellError(f"the image is {width} x {height} pixels; expected at least 1 x 1")
    if width * height > max_pixels:
        raise CellError(
            f"the image has too many pixels ({width} x {height}, the limit is {max_pixels:,}; raise it with "
            f"set=['data.max_pixels={width * height}'])"
        )
    return image


def check_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height, as stored, of an image that decodes as for a model, to the last row.

    Raises:
        CellError: As :func:`decode_image`.
    """
    size = open_image(data, max_pixels=max_pixels).size
    decode_image(data, max_pixels, least_side=CHECKED_SIDE)
    return size


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS, *, least_side: int | None = None) -> Image.Image:
    """Decode one image to RGB as a person would see it.

    Args:
        data: The bytes of the file.
        max_pixels: More pixels are refused before anything is decoded.
        least_side: The short side that is wanted; a larger JPEG may be decoded at a reduced size above it.

    Raises:
        CellError: No bytes, no known image format, broken or cut short, more than ``max_pixels``, or more memory
            needed than there is.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise CellError(f"expected the bytes of an image file, got {type(data).__name__}")
    data = bytes(data)
    width, height = _reduced(open_image(data, max_pixels=max_pixels), least_side).size
    with _decoding((width, height)), reserved(width * height * PEAK_BYTES), without_warnings():
        image = load_image(data, max_pixels, least_side=least_side)
        turn = _orientation(image)  # after loading: Pillow turns a TIFF by itself and then takes the tag away
        rgb = to_rgb(_full_depth(image, data), data)
        return rgb if turn is None else rgb.transpose(turn)


def load_image(data: bytes, max_pixels: int = MAX_PIXELS, *, least_side: int | None = None) -> Image.Image:
    """The picture as stored, all its pixels decoded; arguments and errors as :func:`decode_image`."""
    image = open_image(data, max_pixels=max_pixels)
    with without_warnings(), _decoding(image.size):
        if image.format == "PNG":
            image.verify()  # the checksums, which decoding skips
            image = open_image(data, max_pixels=max_pixels)
        _reduced(image, least_side)
        if image.format == "TIFF":
            with without_decoder_lines():
                image.load()
        else:
            image.load()
    return image


def _reduced(image: Image.Image, least_side: int | None) -> Image.Image:
    """The picture, which is decoded at a smaller size where its format allows that and it is large enough."""
    if least_side is not None and image.format in ("JPEG", "MPO"):
        scale = DRAFT_GAP * least_side / min(image.size)
        if scale < 1:
            with without_warnings(), _decoding(image.size):
                image.draft(None, (round(image.width * scale), round(image.height * scale)))
    return image


def doubtful_depth(data: bytes) -> str | None:
    """What may be wrong with a 16-bit picture that declares no depth and uses none of its upper bits; else None."""
    from plait.data.picture_depth import unused_bits

    if not ((data[:4] == b"\x89PNG" and data[24:25] == b"\x10") or data[:4] in (b"II*\x00", b"MM\x00*")):
        return None
    try:
        image = open_image(data)
        with without_warnings(), without_decoder_lines(), _decoding(image.size):
            bits = unused_bits(image, data)
    except CellError:
        return None  # reported as broken elsewhere
    if bits is None:
        return None
    stored = 32 if image.mode == "I" else 16
    return (
        f"{stored} bits, of which the values use {bits} at most, so that it is seen almost black; if it is one of "
        f"{bits} bits, let the file say so (TIFF: MaxSampleValue {(1 << bits) - 1}; PNG: the chunk sBIT), or scale it"
    )


def to_rgb(image: Image.Image, data: bytes = b"") -> Image.Image:
    """Convert a loaded image of any mode to RGB: high depths scaled, transparency laid on white.

    Args:
        image: The picture.
        data: The bytes of its file, which may declare its depth.

    Example:
        >>> from PIL import Image
        >>> to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    from plait.data.picture_depth import grey_to_8_bits, is_deep_grey

    if is_deep_grey(image):
        return grey_to_8_bits(image, data).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image)
    if image.mode == "LAB":
        return _from_lab(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@contextlib.contextmanager
def _decoding(size: tuple[int, int]) -> Iterator[None]:
    """Turns whatever a decoder raises into a ``CellError``; a lack of memory is no fault of the file."""
    try:
        yield
    except CellError:
        raise
    except Exception as error:  # decoders raise many types on damaged bytes: OSError, SyntaxError, struct.error, ...
        if isinstance(error, MemoryError) or "decoder error -9" in str(error):  # -9 is Pillow's lack of memory
            raise CellError(memory_reason(size)) from error
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise CellError(f"the image is broken or cut short ({detail})") from error


def memory_reason(size: tuple[int, int]) -> str:
    """What to say when a picture of this size did not fit into memory."""
    need = max(size[0] * size[1] * PEAK_BYTES / 1e9, 0.1)
    return (
        f"decoding {size[0]} x {size[1]} pixels needs about {need:.1f} GB of memory, more than was free "
        f"({NO_FAULT}); free some, or refuse pictures of this size with set=['data.max_pixels=N']"
    )


def _full_depth(image: Image.Image, data: bytes) -> Image.Image:
    if image.format not in ("PNG", "TIFF"):
        return image
    from plait.data.picture_depth import colour_to_8_bits

    return colour_to_8_bits(image, data, lambda: open_image(data, max_pixels=image.width * image.height))


def _on_white(image: Image.Image) -> Image.Image:
    """Transparency laid on white, some rows at a time."""
    from PIL import Image

    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)  # these reach RGBA only through their twin
    out = Image.new("RGB", image.size)
    rows = max(1, (1 << 20) // image.width)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(image.height, top + rows)))
        part.info = image.info
        layer = part.convert(straight).convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        out.paste(Image.alpha_composite(ground, layer).convert("RGB"), (0, top))
    return out


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    found = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert found is not None  # it is None only in place
    return found


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """The turn that EXIF asks for; damaged EXIF asks for none."""
    from PIL import Image

    try:
        value = image.getexif().get(0x0112)
    except Exception:  # damaged EXIF raises many types and says nothing about the pixels
        return None
    return {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(value if isinstance(value, int) else 0)


def _not_an_image(data: bytes) -> str:
    if has_image_magic(data[:16]):
        return "the image is broken or cut short (its header cannot be read)"
    return f"not an image that plait reads ({described(data)}); expected {', '.join(IMAGE_FORMATS)}"
