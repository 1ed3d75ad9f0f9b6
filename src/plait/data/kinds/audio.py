"""Columns of sounds, one in a cell. Files are read here for their hash, and decoded only when an item is encoded."""

from __future__ import annotations

from typing import Any

from plait.data.arrow_types import is_media, is_text
from plait.data.column_kind import CellChecks, ColumnKind, Sample
from plait.data.items import media_items
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.remote.address import is_remote, path_of_address
from plait.data.rows import Items, Rows
from plait.data.sound import decode_sound, find_sound, looks_like_sound, sound_key, sound_length
from plait.data.table import Table

_HEARD_SECONDS = 60.0


def _claim(sample: Sample) -> str | None:
    if not sample.most(looks_like_sound):
        return None
    return "its values read like paths or data of sounds" if is_text(sample.type) else "holds sounds"


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    return media_items(table, modality, lambda cell: sound_key(find_sound(cell, table.media_folder)), rows)


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    """Name and length; the sound itself would make the page too big."""
    try:
        seconds, rate, channels = sound_length(find_sound(cell, table.media_folder))
        length = f"{seconds:.1f} s, {rate:,} Hz, {'mono' if channels == 1 else f'{channels} channels'}"
    except ValueError:
        length = "cannot be read"
    path = cell.get("path") if isinstance(cell, dict) else cell
    path = path_of_address(path) if isinstance(path, str) and is_remote(path) else path
    file = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) and len(path) < 4096 else "sound"
    return [{"text": f"{file} ({length})"}]


def _examine(source: Any, root: Root) -> str:
    decode_sound(source, max_seconds=_HEARD_SECONDS)
    return sound_key(source)


AUDIO = ColumnKind(
    fits=is_media,
    holds="paths, bytes or base64 text",
    read=_read,
    show=_show,
    claim=_claim,
    checks=CellChecks(
        ("P036", "rows without a sound"), "no column of audios", _examine, find_sound,
        broken=("P035", "broken sounds", "every sound decodes"), in_files=True,
        leak=("P044", "same sound in two splits"),
    ),
    watched="sounds",
    names_files=True,
    suffixes=frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aiff"}),
)  # fmt: skip
