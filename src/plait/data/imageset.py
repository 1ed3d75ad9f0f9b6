"""Sets of images out of table cells: any number of photos of one thing in one cell.

A cell is a list of images (each as :mod:`plait.data.media` takes them), a JSON list of paths, or paths between ``;``
or ``|``. An empty list is a missing set. The order in a cell says nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from plait.data.media import CellError, looks_like_image_path
from plait.data.media_folder import Root, is_file

MAX_IMAGES = 1000
_SEPARATOR = re.compile(r"[;|]")


def read_image_set(cell: object, root: Root = None) -> list[Any]:
    """The image cells of one set; none where it is missing.

    Raises:
        CellError: No list and no text, an empty place in the list, or more than 1000 images.

    Example:
        >>> read_image_set("a.jpg; b.jpg"), read_image_set('["a;1.jpg"]'), read_image_set(None)
        (['a.jpg', 'b.jpg'], ['a;1.jpg'], [])
    """
    if cell is None or (isinstance(cell, float) and cell != cell):
        return []
    if isinstance(cell, str):
        cells = _split(cell, root)
    elif isinstance(cell, list | tuple):
        cells = list(cell)
    else:
        cells = [cell]  # one image alone: bytes, or a dictionary of bytes and path
    if len(cells) > MAX_IMAGES:
        raise CellError(f"the set holds {len(cells):,} images; the limit is {MAX_IMAGES:,}")
    empty = [place for place, one in enumerate(cells) if one is None or one == ""]
    if empty:
        raise CellError(f"image {empty[0]} of the set is empty; leave it out of the list")
    return cells


def looks_like_image_set(text: str) -> bool:
    """Whether a text reads like several paths of images between ``;`` or ``|``."""
    parts = [part.strip() for part in _SEPARATOR.split(text)]
    return len(parts) > 1 and all(looks_like_image_path(part) for part in parts)


def read_like_image_sets(values: list[Any]) -> bool:
    """Whether at least one in five values reads like several paths of images; the others may be sets of one."""
    return sum(isinstance(v, str) and looks_like_image_set(v) for v in values) >= 0.2 * len(values) > 0


def _split(text: str, root: Root) -> list[Any]:
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            cells = json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise CellError(f"broken JSON ({str(error)[:120]}); expected a list of paths") from error
        if not all(isinstance(one, str) for one in cells):
            raise CellError("the JSON list holds other values than texts; expected paths of images")
        return list(cells)
    if stripped[:5].lower() == "data:" or (len(stripped) < 4096 and is_file(stripped, root)):
        return [stripped]
    return [part.strip() for part in _SEPARATOR.split(stripped) if part.strip()]
