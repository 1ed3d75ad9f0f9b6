"""Sounds: decoded once and kept; how many are longer than the encoder hears is counted."""

from __future__ import annotations

from typing import Any

from plait.data.media import CellError
from plait.data.rows import Items
from plait.data.sound import find_sound, import_soundfile, sound_length
from plait.inputs.dataset import KeptSource
from plait.inputs.modality_kinds import Load, ModalityKind


def _examine(source: Any, processor: Any, max_pixels: int) -> None:
    processor.process([source])


def _count_cut_clips(items: Items, processor: Any, load: Load) -> dict[str, int]:
    """How many different sounds are longer than the encoder hears, by their headers."""
    num_cut = 0
    for number in range(len(items.keys)):
        try:
            num_cut += sound_length(load(number))[0] > processor.max_seconds
        except CellError:
            continue  # reported when it was encoded or examined
    return {"clips cut": int(num_cut)}


AUDIO = ModalityKind(
    encoder="audio",
    load=find_sound,
    live=lambda processor, items, load: KeptSource(processor, load, num_items=len(items.keys)),
    examine=_examine,
    count=_count_cut_clips,
    plural="sounds",
    require=import_soundfile,
)
