"""Photos and sounds out of table cells: from whatever a cell holds to bytes and a content hash.

A cell may hold a path, a ``file://`` address, bytes, base64 text (bare or as a ``data:`` address) or the
dictionary ``{"bytes": ..., "path": ...}`` that Hugging Face datasets write. What is wrong with one cell is a
:class:`CellError` whose text fits a report line; the caller knows the row. Nothing is repaired. Which files a cell may
name, and whether the address of an object is fetched, is said by a :class:`~plait.data.media_folder.MediaFolder`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import numpy as np

from plait.data.cell_error import CellError, MissingFileError, short, shown
from plait.data.media_folder import Root, find_file, is_file
from plait.data.pixels import is_pil_image, picture_bytes
from plait.data.remote.address import path_of_address
from plait.data.samples import is_decoded_sound, sound_bytes

__all__ = ["CellError", "MissingFileError", "content_key", "is_empty", "read_media"]

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
MAX_BYTES = 256 * 2**20

_IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_SOUND_MAGIC = (b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"RIFF")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]+={0,2}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_SURE_BASE64 = 4096  # no file system takes a path this long, so base64 letters alone are proof


def is_empty(cell: object) -> bool:
    """Whether a cell of media holds nothing at all (which is a missing value, not a fault)."""
    if isinstance(cell, dict):  # a key that is unknown here is a fault, not a missing value
        return all(value is None or (isinstance(value, str) and not value) for value in cell.values())
    if isinstance(cell, list):
        return not cell
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def read_media(cell: object, root: Root, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes behind one cell.

    Args:
        cell: A path, an address (``file://``, or ``s3://`` and such where ``root`` allows them), bytes, base64 text, a
            ``data:`` address, ``{"bytes", "path"}``, pixels (an array or a PIL image) or decoded samples
            (``{"array", "sampling_rate"}``).
        root: The folder against which relative paths count (None: the current one), files of all folders taken; or a
            ``MediaFolder``, which takes those inside it only.
        max_bytes: The largest content that is read.

    Raises:
        CellError: The cell is empty, of another type, too large, or names no readable file or one outside.

    Example:
        >>> read_media(b"abc", None)
        b'abc'
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        return _sized(bytes(cell), max_bytes)
    if isinstance(cell, Path):
        return _read_file(cell, root, max_bytes, named=str(cell))
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


def looks_like_image_path(text: str) -> bool:
    """Whether a text reads like the path of an image: one line that ends in an image suffix.

    Example:
        >>> looks_like_image_path("photos/a.JPG"), looks_like_image_path("a photo of a dog")
        (True, False)
    """
    if not text or len(text) > 4096 or "\n" in text:
        return False
    if _SCHEME.match(text):
        text = path_of_address(text)
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


def _read_mapping(cell: Mapping[object, object], root: Root, max_bytes: int) -> bytes:
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
    given = shown(sorted(map(str, cell)))
    raise CellError(
        f"the cell is a dictionary with the keys {given}; expected bytes or path, or array and sampling_rate (a sound)"
    )


def _read_text(text: str, root: Root, max_bytes: int) -> bytes:
    if not text.strip():
        raise CellError("the cell is empty")
    if text[:5].lower() == "data:":
        return _read_data_address(text, max_bytes)
    scheme = _SCHEME.match(text)
    if scheme and scheme.group(1).lower() == "file":
        parts = _split_address(text)
        if parts[0] not in ("", "localhost"):
            raise CellError(f"{shown(text)} names the host {parts[0]!r}; write file:///path or a plain path")
        return _read_file(Path(unquote(parts[1])), root, max_bytes, named=text)
    if scheme:
        return _read_place(find_file(text.strip(), root, max_bytes), max_bytes, text)
    if len(text) < _SURE_BASE64 and is_file(text, root):
        return _read_file(Path(text), root, max_bytes, named=text)
    decoded = _as_base64(text, max_bytes)
    if decoded is not None:
        return decoded
    return _read_file(Path(text), root, max_bytes, named=text)


def _split_address(text: str) -> tuple[str, str]:
    """Host and path of an address.

    Raises:
        CellError: The address is malformed.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise CellError(f"{shown(text)} is not a well-formed address ({short(error)})") from error
    return parts.netloc, parts.path


def _read_file(path: Path, root: Root, max_bytes: int, named: str) -> bytes:
    return _read_place(find_file(path, root, max_bytes, named=named), max_bytes, named)


def _read_place(place: Path, max_bytes: int, named: str) -> bytes:
    try:
        with open(place, "rb") as file:
            return _sized(file.read(max_bytes + 1), max_bytes)
    except OSError as error:
        raise CellError(f"cannot read {shown(named)} ({short(error)})") from error


def _read_data_address(text: str, max_bytes: int) -> bytes:
    head, comma, body = text.partition(",")
    if not comma:
        raise CellError(f"{shown(text)} is not a data: address; expected data:image/png;base64,...")
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
        raise CellError(f"the base64 text is broken ({short(error)})") from error


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
