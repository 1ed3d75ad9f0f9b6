"""Small JPEG pictures for the examples, as text that can stand inside the page."""

from __future__ import annotations

import base64
import binascii
import io

SIDE = 200
_MAX_BYTES = 40_000


def thumbnail(data: bytes, *, side: int = SIDE) -> str:
    """Shrink an encoded picture to at most ``side`` pixels and return it as base64 JPEG.

    Rotation by EXIF is applied, transparency is laid on white, and no metadata (place, camera) is kept.

    Raises:
        ValueError: The bytes are no picture that can be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (side * 2, side * 2))
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith(("I", "F")):
                # 16 bits are scaled to 8; a plain conversion would clip them to white.
                picture = picture.convert("F").point(lambda level: level / 257.0 + 0.0).convert("L")
            picture = picture.convert("RGBA")
            picture.thumbnail((side, side))
            flat = Image.new("RGB", picture.size, "white")
            flat.paste(picture, mask=picture.getchannel("A"))
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"the picture cannot be read: {error}") from error
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=80, optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")


def checked(text: str) -> str | None:
    """A base64 JPEG that is safe and small enough to embed, or None when it is no picture."""
    try:
        data = base64.b64decode(text, validate=True)
        if data[:3] == b"\xff\xd8\xff" and len(data) <= _MAX_BYTES and _is_small(data):
            return base64.b64encode(data).decode("ascii")
        return thumbnail(data)
    except (ValueError, binascii.Error):
        return None


def _is_small(data: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return max(opened.size) <= SIDE
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error
