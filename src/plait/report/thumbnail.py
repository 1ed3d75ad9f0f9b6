"""Small JPEG pictures for the examples, as text that can stand inside the page."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SIDE = 200
LARGE_SIDE = 320  # of pictures that something is drawn on
_MAX_BYTES = 40_000


def thumbnail(picture: bytes | Image.Image, *, side: int = SIDE) -> str:
    """Shrink a picture to at most ``side`` pixels and return it as base64 JPEG, without metadata (place, camera).

    Args:
        picture: An RGB picture as it should be seen; or an encoded one, which is turned by its EXIF and laid on white.
        side: The longer side of what comes out, in pixels.

    Raises:
        ValueError: The bytes are no picture that can be read.
    """
    small = _decoded(picture, side) if isinstance(picture, bytes) else picture.copy()
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80, optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")


def _decoded(data: bytes, side: int) -> Image.Image:
    """A picture that a report was given ready made; pictures of tables are decoded by ``plait.data.picture``."""
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
    return flat


def checked(text: str, side: int = SIDE) -> str | None:
    """A base64 JPEG that is safe and small enough to embed, or None when it is no picture."""
    try:
        data = base64.b64decode(text, validate=True)
        if data[:3] == b"\xff\xd8\xff" and len(data) <= _MAX_BYTES and _is_small(data, side):
            return base64.b64encode(data).decode("ascii")
        return thumbnail(data, side=side)
    except (ValueError, binascii.Error):
        return None


def _is_small(data: bytes, side: int) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return max(opened.size) <= side
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error
