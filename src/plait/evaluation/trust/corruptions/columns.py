"""The columns of a modality damaged: from a table to the same table with other cells.

Pictures and sounds are decoded, damaged, and put back as PNG and WAV; texts and numbers stand for themselves. Cells
that cannot be read, and empty ones, stay as they are. Equal cells are damaged alike.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from plait.data.imageset import read_image_set
from plait.data.media import CellError, is_empty, read_media
from plait.data.modality import Modality
from plait.data.picture import decode_image
from plait.data.samples import wave_bytes
from plait.data.sound import decode_sound, find_sound
from plait.data.table import Table
from plait.evaluation.trust.corruptions.base import corrupt

MOST_SECONDS = 60.0
KEPT_BYTES = 256 * 2**20
MOST_SIDE = 512  # pixels; larger pictures are made smaller, as every encoder makes them anyhow
Change = Callable[[Any, int], Any]  # from a decoded content and its number to a damaged one


def corrupted(
    table: Table, modality: Modality, name: str, severity: int, seed: int = 0, *,
    decoded: Decoded | None = None,
) -> Table:  # fmt: skip
    """The table with the cells of one modality damaged.

    Args:
        table: The rows.
        modality: Whose cells.
        name: Of the corruption.
        severity: 0 to 5; 0 gives the table itself.
        seed: The same seed damages the same places.
        decoded: Keeps pictures and sounds of this table decoded, for whoever damages it again; None: nothing is kept.
    """
    if severity == 0:
        return table

    def change(content: Any, number: int) -> Any:
        return corrupt(name, content, severity, [seed, number])

    for column in modality.columns:
        if column in table.column_names:
            content = _Content(table, Decoded(limit=0) if decoded is None else decoded)
            table = table.with_column(column, _CELLS[modality.kind](content, table.column(column), change))
    return table


@dataclass
class Decoded:
    """Pictures and sounds of one table kept decoded, the first of them up to a limit.

    Attributes:
        limit: Bytes to keep.
        kept: Decoded contents by kind and cell.
        num_bytes: Their size.
    """

    limit: int = KEPT_BYTES
    kept: dict[Any, Any] = field(default_factory=dict)
    num_bytes: int = 0

    def once(self, key: Any, decode: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """What is kept under a key, else what ``decode`` gives."""
        if key in self.kept:
            return self.kept[key]
        made = decode()
        if self.num_bytes + size(made) <= self.limit:
            self.kept[key] = made
            self.num_bytes += size(made)
        return made


@dataclass
class _Content:
    """What cells of pictures and sounds hold.

    Attributes:
        table: The cells' table.
        decoded: What is decoded already.
    """

    table: Table
    decoded: Decoded

    def pixels(self, cell: Any) -> np.ndarray:
        """A picture, at most ``MOST_SIDE`` on a side [H, W] or [H, W, C] uint8."""

        def decode() -> np.ndarray:
            image = decode_image(read_media(cell, self.table.media_folder), least_side=MOST_SIDE)
            image.thumbnail((MOST_SIDE, MOST_SIDE))
            return np.asarray(image)

        return np.asarray(self.decoded.once(("picture", _key(cell)), decode, lambda made: int(made.nbytes)))

    def sound(self, cell: Any) -> Any:
        """A sound, at most ``MOST_SECONDS`` long."""

        def decode() -> Any:
            return decode_sound(find_sound(cell, self.table.media_folder), max_seconds=MOST_SECONDS)

        return self.decoded.once(("sound", _key(cell)), decode, lambda made: int(made.samples.nbytes))


def _key(cell: Any) -> Any:
    return cell if isinstance(cell, str | bytes) else repr(cell)


def _pictures(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    return _each(cells, lambda cell, number: _picture(content, cell, number, change))


def _picture(content: _Content, cell: Any, number: int, change: Change) -> Any:
    made = io.BytesIO()
    Image.fromarray(change(content.pixels(cell), number)).save(made, "PNG", compress_level=0)  # read once, by us
    return made.getvalue()


def _picture_sets(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    def damaged(cell: Any, number: int) -> Any:
        members = read_image_set(cell, content.table.media_folder)
        return [_picture(content, one, 1000 * number + k, change) for k, one in enumerate(members)]

    return _each(cells, damaged)


def _sounds(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    def damaged(cell: Any, number: int) -> Any:
        sound = content.sound(cell)
        return wave_bytes(change(sound.samples, number), sound.rate)

    return _each(cells, damaged)


def _texts(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    return _each([None if is_empty(c) else str(c) for c in cells], change)


def _numbers(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    """Numbers as a whole column; of categories, dates and texts only that values go missing."""
    is_number = [isinstance(c, int | float) and not isinstance(c, bool) for c in cells]
    if all(there or c is None for there, c in zip(is_number, cells, strict=True)):
        values = change(np.array([np.nan if c is None else float(c) for c in cells]), 0)
        return [None if not np.isfinite(v) else float(v) for v in values]
    gone = change(np.zeros(len(cells)), 0)  # noise of a spread of zero changes nothing
    return [c if np.isfinite(v) else None for c, v in zip(cells, gone, strict=True)]


def _vectors(content: _Content, cells: list[Any], change: Change) -> list[Any]:
    known = [i for i, c in enumerate(cells) if isinstance(c, list | tuple | np.ndarray)]
    made = list(cells)
    if known:
        values = change(np.array([np.asarray(cells[i], dtype=np.float64) for i in known]), 0)
        for i, vector in zip(known, values, strict=True):
            made[i] = vector.tolist() if np.isfinite(vector).all() else None
    return made


def _each(cells: list[Any], damaged: Change) -> list[Any]:
    """Every cell damaged, equal ones once; what cannot be read stays."""
    known: dict[Any, Any] = {}
    made = []
    for number, cell in enumerate(cells):
        if is_empty(cell):
            made.append(None)
            continue
        key = _key(cell)
        if key not in known:
            try:
                known[key] = damaged(cell, number)
            except CellError:
                known[key] = None
        made.append(known[key])
    return made


_CELLS: dict[str, Callable[[_Content, list[Any], Change], list[Any]]] = {
    "image": _pictures, "image_set": _picture_sets, "audio": _sounds, "text": _texts, "tabular": _numbers,
    "vector": _vectors,
}  # fmt: skip
