"""What is wrong with one cell, in words for a report line. A reason never quotes the content of a file."""

from __future__ import annotations

from plait.data.remote.address import without_secrets

_KINDS = (
    (b"%PDF", "a PDF"), (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"<svg", "an SVG drawing"), (b"<?xml", "XML"), (b"\x7fELF", "a program"),
    (b"\x00\x00\x01\x00", "an icon"), (b"8BPS", "a Photoshop file"), (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"), (b"\xff\x0a", "JPEG XL"), (b"\x93NUMPY", "a numpy array"),
    (b"version https://git-lfs", "a pointer of Git LFS; type git lfs pull"),
)  # fmt: skip
_BOXES = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF", b"M4A ": "M4A", b"crx ": "a raw photo"}


NO_FAULT = "that is no fault of the file"  # in reasons that may be gone another time, though the file stays as it is


class CellError(ValueError):
    """One cell cannot be used; the text says why, without the row (the caller adds it)."""


class MissingFileError(CellError):
    """A file that a cell names among others is not there, as against content that is broken."""


def described(data: bytes) -> str:
    """What some bytes are, without a letter of them.

    Example:
        >>> described(b"root:x:0:0"), described(b"%PDF-1.7")
        ('it is text', 'it is a PDF')
    """
    head = data[:512]
    for start, name in _KINDS:
        if head.lstrip()[: len(start)].lower() == start.lower():
            return f"it is {name}"
    if head[4:8] == b"ftyp":
        return f"it is {_BOXES.get(head[8:12], 'a film or another file of the MPEG-4 family')}"
    if head.startswith(b"RIFF") or head[:4] == b"FORM":
        return "it is another file of the RIFF or IFF family"
    if not head.strip(b"\x00"):
        return "it begins with zeros"
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return "it is of no known format"
        text = head[: error.start].decode("utf-8")
    return "it is text" if text.isprintable() or not set(text) & _CONTROLS else "it is of no known format"


def shown(value: object) -> str:
    """A value in quotes, cut where it is long; addresses in it without what may be secret."""
    text = repr(without_secrets(value)) if isinstance(value, str) else without_secrets(repr(value))
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text):,} characters)"


def short(error: BaseException) -> str:
    """An error in one short line."""
    return f"{type(error).__name__}: {without_secrets(str(error))[:160]}"


_CONTROLS = {chr(number) for number in range(32)} - set("\t\n\r\f")
