"""How the cells of each kind of modality are shown in a report: one function a kind, under its name in ``SHOWN``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait.data.items import Items
from plait.data.media import read_media
from plait.data.sound import find_sound, sound_length
from plait.data.table import Table
from plait.report.thumbnail import thumbnail

SHOWN_PHOTOS = 4


def shown_text(value: Any) -> str:
    """A target, prediction or cell in words, for a report."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value) or "(none)"
    return "" if value is None else str(value)


def _picture(cell: Any, table: Table) -> str | None:
    """A small JPEG of an image cell in base64, or None when it cannot be read."""
    try:
        return thumbnail(read_media(cell, table.root))
    except ValueError:
        return None


def _show_text(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"name": name, "kind": "text", "text": str(cell)[:600]}]


def _show_image(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"name": name, "kind": "image", "image_jpeg_base64": _picture(cell, table)}]


def _show_image_set(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    assert items.parts is not None
    photos = [items.parts.cells[part] for part in cell]
    shown = [
        {"name": name, "kind": "image_set", "image_jpeg_base64": _picture(p, table)} for p in photos[:SHOWN_PHOTOS]
    ]
    more = len(photos) - len(shown)
    return [*shown, {"name": name, "kind": "image_set", "text": f"and {more} more"}] if more else shown


def _show_sound(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    """Name and length; the sound itself would make the page too big."""
    try:
        seconds, rate, channels = sound_length(find_sound(cell, table.root))
        length = f"{seconds:.1f} s, {rate:,} Hz, {'mono' if channels == 1 else f'{channels} channels'}"
    except ValueError:
        length = "cannot be read"
    path = cell.get("path") if isinstance(cell, dict) else cell
    file = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) and len(path) < 4096 else "sound"
    return [{"name": name, "kind": "audio", "text": f"{file} ({length})"}]


def _show_vector(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    what = f"{len(cell)} vectors of {cell.shape[1]} numbers" if cell.ndim == 2 else f"vector of {len(cell)} numbers"
    return [{"name": name, "kind": "vector", "text": what}]


def _show_cells(name: str, cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"name": c, "kind": "tabular", "text": shown_text(v)} for c, v in cell.items()]


SHOWN: dict[str, Callable[[str, Any, Items, Table], list[dict[str, Any]]]] = {
    "text": _show_text,
    "image": _show_image,
    "audio": _show_sound,
    "image_set": _show_image_set,
    "vector": _show_vector,
    "tabular": _show_cells,
}
