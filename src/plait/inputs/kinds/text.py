"""Texts: cleaned where the settings say so; how many are longer than the encoder reads is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plait.data.rows import Items
from plait.inputs.dataset import LiveSource
from plait.inputs.modality_kinds import Load, ModalityKind
from plait.processors import HashedTextProcessor, TextProcessor
from plait.processors.augment.text import TextView, draw_text
from plait.processors.augment.views import ItemViews, ViewMaker
from plait.processors.cleaning import clean_texts
from plait.settings import EncoderSettings

if TYPE_CHECKING:
    from plait.processors import Processor


def _set_cleaning(processor: Processor, settings: EncoderSettings, reference: str) -> None:
    cleaning = settings.text_cleaning or "none"
    if isinstance(processor, TextProcessor | HashedTextProcessor):
        processor.cleaning = cleaning
    elif cleaning != "none":
        raise ValueError(
            f"the text encoder {reference!r} takes no text cleaning; type set=['encoders.text_cleaning=none'], or "
            "clean the texts first"
        )


def _count(items: Items, processor: Any, load: Load) -> dict[str, int]:
    """What was cleaned, and how many different texts are longer than the encoder reads, stored features or not.

    A text with few bytes cannot have many tokens, so only the longer ones are cut into tokens again.
    """
    long = [t for t in items.cells if len(t.encode("utf-8", "surrogatepass")) >= processor.max_length // 2 - 1]
    counts = {}
    cleaning = getattr(processor, "cleaning", "none")
    if cleaning != "none":
        found = clean_texts(items.cells, cleaning)[1]
        counts = {f"{what} ({cleaning} cleaning)": number for what, number in sorted(found.items())}
    before = processor.num_truncated
    for start in range(0, len(long), 256):
        processor.process(long[start : start + 256])
    return {**counts, "texts cut": int(processor.num_truncated - before)}


def _draw(views: ItemViews, item: int, generator: np.random.Generator, flip: bool) -> TextView:
    mirror = flip and views.allowed[item].flip
    return draw_text(generator, views.cells[item], views.settings.text, mirror=mirror)


TEXT = ModalityKind(
    encoder="text",
    live=lambda processor, items, load: LiveSource(processor, load, ""),
    configure=_set_cleaning,
    count=_count,
    views=ViewMaker(lambda settings: settings.text > 0 or settings.mirror == "words", _draw),
    has_words=True,
)
