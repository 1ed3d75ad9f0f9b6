"""Sounds: decoded once and kept; how many are longer than the encoder hears is counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.media import CellError
from plait.data.rows import Items
from plait.data.sound import find_sound, import_soundfile, sound_length
from plait.inputs.dataset import KeptSource
from plait.inputs.modality_kinds import Load, ModalityKind
from plait.processors.augment.audio import SoundView, draw_sound
from plait.processors.augment.views import ItemViews, ViewMaker


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


def _draw(views: ItemViews, item: int, generator: np.random.Generator, flip: bool) -> SoundView:
    return draw_sound(generator, views.settings.audio, max_seconds=views.max_seconds)


AUDIO = ModalityKind(
    encoder="audio",
    load=find_sound,
    live=lambda processor, items, load: KeptSource(processor, load, num_items=len(items.keys)),
    examine=_examine,
    count=_count_cut_clips,
    plural="sounds",
    require=import_soundfile,
    views=ViewMaker(lambda settings: settings.audio != "none", _draw),
)
