"""Photos and sounds out of table cells: from whatever a cell holds to bytes and a content hash.

A cell may hold a path, a ``file://`` address, bytes, base64 text (bare or as a ``data:`` address) or the
dictionary ``{"bytes": ..., "path": ...}`` that Hugging Face datasets write. What is wrong with one cell is a
:class:`CellError` whose text fits a report line; the caller knows the row. Nothing is downloaded
and nothing is repaired. Cells are trusted as the user's own: a server must hand over bytes only, never paths.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import numpy as np

from plait.data.pixels import is_pil_image, picture_bytes
from plait.data.samples import is_decoded_sound, sound_bytes

if TYPE_CHECKING:
    from PIL import Image

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
MAX_BYTES = 256 * 2**20
MAX_PIXELS = 64_000_000

_IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_SOUND_MAGIC = (b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"RIFF")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]+={0,2}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_SURE_BASE64 = 4096  # no file system takes a path this long, so base64 letters alone are proof


class CellError(ValueError):
    """One cell cannot be used; the text says why, without the row (the caller adds it)."""


class MissingFileError(CellError):
    """A file that a cell names among others is not there, as against content that is broken."""


def is_empty(cell: object) -> bool:
    """Whether a cell of media holds nothing at all (which is a missing value, not a fault)."""
    if isinstance(cell, dict):  # a key that is unknown here is a fault, not a missing value
        return all(value is None or (isinstance(value, str) and not value) for value in cell.values())
    if isinstance(cell, list):
        return not cell
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def read_media(cell: object, root: Path | None, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes behind one cell.

    Args:
        cell: A path, a ``file://`` address, bytes, base64 text, a ``data:`` address, ``{"bytes", "path"}``, pixels (an
            array or a PIL image) or decoded samples (``{"array", "sampling_rate"}``).
        root: The folder against which relative paths count; None means the current folder.
        max_bytes: The largest content that is read.

    Raises:
        CellError: The cell is empty, of another type, too large, or names no readable file.

    Example:
        >>> read_media(b"abc", None)
        b'abc'
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        return _sized(bytes(cell), max_bytes)
    if isinstance(cell, Path):
        return _read_file(cell, root, max_bytes, shown=str(cell))
    if isinstance(cell, Mapping):
        return _read_mapping(cell, root, max_bytes)
    if isinstance(cell, str):
        return _read_text(cell, root, max_bytes)
    if cell is None or (isinstance(cell, float) and cell != cell):
        raise CellError("the cell is empty")
    if isinstance(cell, list | np.ndarray) or is_pil_image(cell):
        try:
            return _sized(picture_bytes(cell), max_bytes)
        except ValueError as error:
            raise CellError(f"the cell holds {error}") from error
    kind = type(cell).__name__
    raise CellError(f"the cell holds {kind}; expected a path, bytes, base64 text or a data: address")


def content_key(data: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal: the name of a content wherever it lies."""
    return hashlib.sha256(data).hexdigest()


def media_key(cell: object, root: Path | None) -> str:
    """The content hash of one cell: equal for equal bytes, wherever they lie and however the cell names them.

    Raises:
        CellError: As :func:`read_media`.
    """
    return content_key(read_media(cell, root))


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
        image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CellError(f"the image has too many pixels (limit {max_pixels:,}): {error}") from error
    except UnidentifiedImageError as error:
        raise CellError(_not_an_image(data)) from error
    except Exception as error:  # decoders raise anything on hostile bytes: SyntaxError, IndexError ...
        raise CellError(f"the image header is broken ({_short(error)})") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise CellError(f"the image is {width} x {height} pixels; expected at least 1 x 1")
    if width * height > max_pixels:
        raise CellError(f"the image has {width} x {height} pixels; the limit is {max_pixels:,} in all")
    return image


def check_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height of an image whose first frame really decodes, to the last row.

    Raises:
        CellError: Not an image, a format that is not allowed, cut short, corrupt, or above ``max_pixels``.
    """
    image = open_image(data, max_pixels=max_pixels)
    try:
        if image.format == "PNG":
            image.verify()  # the checksums, which decoding skips
            image = open_image(data, max_pixels=max_pixels)
        image.load()
    except CellError:
        raise
    except Exception as error:  # as in open_image: anything can come out of a decoder
        raise CellError(f"the image is broken or cut short ({_short(error)})") from error
    return image.size


def looks_like_image_path(text: str) -> bool:
    """Whether a text reads like the path of an image: one line that ends in an image suffix.

    Example:
        >>> looks_like_image_path("photos/a.JPG"), looks_like_image_path("a photo of a dog")
        (True, False)
    """
    if not text or len(text) > 4096 or "\n" in text:
        return False
    if _SCHEME.match(text):
        text = _address_path(text)
    return os.path.splitext(text)[1].lower() in IMAGE_SUFFIXES


def looks_like_image(cell: object) -> bool:
    """Whether a cell probably holds an image: a path, bytes, base64 text or a dictionary of those."""
    if isinstance(cell, bytes | bytearray | memoryview):
        return has_image_magic(bytes(cell[:16]))
    if isinstance(cell, Mapping):
        return any(looks_like_image(cell.get(name)) for name in ("bytes", "path"))
    if isinstance(cell, Path):
        return looks_like_image_path(str(cell))
    if not isinstance(cell, str):
        return False
    if cell[:11].lower() == "data:image/":
        return True
    if looks_like_image_path(cell):
        return True
    if len(cell) < 64 or not _BASE64.fullmatch(cell[:64].rstrip("=")):
        return False
    try:
        return has_image_magic(base64.b64decode(cell[:64].replace("-", "+").replace("_", "/"), validate=True))
    except binascii.Error:
        return False


def has_image_magic(head: bytes) -> bool:
    """Whether the first bytes are those of an allowed image format."""
    return head.startswith(_IMAGE_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _address_path(text: str) -> str:
    """The path of an address, without its query; the text itself when it is no well-formed address."""
    try:
        return urlsplit(text).path
    except ValueError:
        return text


def _read_mapping(cell: Mapping[object, object], root: Path | None, max_bytes: int) -> bytes:
    content, path = cell.get("bytes"), cell.get("path")
    if content is not None:
        return read_media(content, root, max_bytes=max_bytes)
    if isinstance(path, str | Path):
        return read_media(path, root, max_bytes=max_bytes)
    if is_decoded_sound(cell):
        try:
            return _sized(sound_bytes(cell), max_bytes)
        except ValueError as error:
            raise CellError(f"the cell holds {error}") from error
    if set(cell) <= {"bytes", "path"} and cell:
        raise CellError("the cell is empty: neither bytes nor path is given")
    given = _shown(sorted(map(str, cell)))
    raise CellError(
        f"the cell is a dictionary with the keys {given}; expected bytes or path, or array and sampling_rate (a sound)"
    )


def _read_text(text: str, root: Path | None, max_bytes: int) -> bytes:
    if not text.strip():
        raise CellError("the cell is empty")
    if text[:5].lower() == "data:":
        return _read_data_address(text, max_bytes)
    scheme = _SCHEME.match(text)
    if scheme and scheme.group(1).lower() == "file":
        parts = _split_address(text)
        if parts[0] not in ("", "localhost"):
            raise CellError(f"{_shown(text)} names the host {parts[0]!r}; write file:///path or a plain path")
        return _read_file(Path(unquote(parts[1])), root, max_bytes, shown=text)
    if scheme:
        raise CellError(
            f"{_shown(text)} is a {scheme.group(1).lower()} address and plait does not download; "
            "fetch the file first and write its path into the table"
        )
    if len(text) < _SURE_BASE64 and is_file(resolve(text, root)):
        return _read_file(Path(text), root, max_bytes, shown=text)
    decoded = _as_base64(text, max_bytes)
    if decoded is not None:
        return decoded
    return _read_file(Path(text), root, max_bytes, shown=text)


def _split_address(text: str) -> tuple[str, str]:
    """Host and path of an address.

    Raises:
        CellError: The address is malformed.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise CellError(f"{_shown(text)} is not a well-formed address ({_short(error)})") from error
    return parts.netloc, parts.path


def resolve(path: str | Path, root: Path | None) -> Path:
    """The place of a path: relative ones count from ``root`` (None: the current folder)."""
    path = Path(path)
    return path if path.is_absolute() or root is None else root / path


def is_file(path: Path) -> bool:
    """Whether a path names an ordinary file; False for names that no file system takes."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _read_file(path: Path, root: Path | None, max_bytes: int, shown: str) -> bytes:
    place = resolve(path, root)
    try:
        found = os.stat(place)
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not an ordinary file"
            raise CellError(f"{_shown(shown)} is {what}; expected an image or sound file")
        if found.st_size > max_bytes:
            raise CellError(f"{_shown(shown)} has {found.st_size:,} bytes; the limit is {max_bytes:,}")
        with open(place, "rb") as file:
            return _sized(file.read(max_bytes + 1), max_bytes)
    except FileNotFoundError as error:
        hint = "; it has backslashes, write / between folders" if "\\" in shown and os.sep == "/" else ""
        raise CellError(f"no such file: {_shown(shown)} (looked in {str(place.parent)!r}){hint}") from error
    except CellError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the name
        raise CellError(f"cannot read {_shown(shown)} ({_short(error)})") from error


def _read_data_address(text: str, max_bytes: int) -> bytes:
    head, comma, body = text.partition(",")
    if not comma:
        raise CellError(f"{_shown(text)} is not a data: address; expected data:image/png;base64,...")
    if not head.lower().rstrip().endswith(";base64"):
        return _sized(_unquote_bytes(body), max_bytes)
    return _sized(_decode_base64(unquote(body), max_bytes), max_bytes)


def _unquote_bytes(body: str) -> bytes:
    """The bytes of percent-encoded text."""
    try:
        return unquote_to_bytes(body)
    except UnicodeEncodeError as error:
        raise CellError("the data: address holds characters that are not text") from error


def _decode_base64(text: str, max_bytes: int) -> bytes:
    text = "".join(text.split())
    if len(text) > max_bytes * 4 // 3 + 4:
        raise CellError(f"the base64 text has {len(text):,} letters; the limit is {max_bytes:,} bytes")
    text = text.replace("-", "+").replace("_", "/")
    text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error, and ValueError for letters outside ASCII
        raise CellError(f"the base64 text is broken ({_short(error)})") from error


def _as_base64(text: str, max_bytes: int) -> bytes | None:
    """The content if the text is surely base64 of an image or sound, else None (then it is a path)."""
    packed = "".join(text.split())
    if len(packed) < 32 or not _BASE64.fullmatch(packed):
        return None
    head = _decode_base64(packed[:64].rstrip("="), max_bytes)[:16]
    if not (has_image_magic(head) or head.startswith(_SOUND_MAGIC) or len(packed) >= _SURE_BASE64):
        return None
    return _sized(_decode_base64(packed, max_bytes), max_bytes)


def _sized(data: bytes, max_bytes: int) -> bytes:
    if not data:
        raise CellError("the content is empty (0 bytes)")
    if len(data) > max_bytes:
        raise CellError(f"the content has more than {max_bytes:,} bytes, the limit")
    return data


def _not_an_image(data: bytes) -> str:
    return (
        f"not an image that plait reads (it begins with {data[:8]!r}); expected {', '.join(IMAGE_FORMATS)}"
        if not has_image_magic(data[:16])
        else "the image is broken or cut short (its header cannot be read)"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text):,} characters)"


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:160]}"
