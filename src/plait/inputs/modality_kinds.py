"""What Plait does with each kind of modality between a table's cells and a model: one record a kind.

A record says which setting names its encoder, how an item is loaded, what stands for a missing one, how an item is
examined where no encoder will look at it before training, and what is counted of it. Kinds that are fitted on training
rows (numbers and categories, vectors) have no encoder to name. A new kind is one more record here, one reader in
``rows``, one entry in ``data.kinds`` and one in ``judging``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait.data.items import Items
from plait.data.media import CellError, check_image, read_media
from plait.data.sound import decode_sound, find_sound, import_soundfile, sound_length
from plait.inputs.dataset import KeptSource, LiveSource, Source
from plait.processors import Processor
from plait.processors.cleaning import clean_texts
from plait.registry import Registry

Load = Callable[[int], Any]


@dataclass(frozen=True)
class ModalityKind:
    """One kind of modality.

    Attributes:
        encoder: What its encoder encodes, which is also the name of its setting; None for a kind that is fitted.
        load: From a cell and the table's folder to what the processor takes.
        live: From processor and loader to the tensors of items whose encoder is trained.
        examine: Raises a ``CellError`` for what a processor would refuse; takes the item, the processor and the
            largest image. None where nothing can be wrong any more.
        count: From items, processor and loader to counts worth telling; None where there are none.
        plural: What to call its items.
        require: Raises an ``ImportError`` where an optional package is missing, before any item is blamed for it.
    """

    encoder: str | None
    load: Callable[[Any, Path | None], Any]
    live: Callable[[Processor, Load], Source]
    examine: Callable[[Any, Any, int], None] | None
    count: Callable[[Items, Any, Load], dict[str, int]] | None
    plural: str
    require: Callable[[], Any] | None = None


MODALITY_KINDS: Registry[ModalityKind] = Registry("kind of modality")


def loader(items: Items, root: Path | None) -> Load:
    """Loads the item of a number."""
    load = MODALITY_KINDS.get(items.modality.kind).load
    return lambda number: load(items.cells[number], root)


def _as_it_is(cell: Any, root: Path | None) -> Any:
    return cell


def _count_texts(items: Items, processor: Any, load: Load) -> dict[str, int]:
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


def _count_cut_clips(items: Items, processor: Any, load: Load) -> dict[str, int]:
    """How many different sounds are longer than the encoder hears, told from their headers."""
    num_cut = 0
    for number in range(len(items.keys)):
        try:
            num_cut += sound_length(load(number))[0] > processor.max_seconds
        except CellError:
            continue  # reported when it was encoded or examined
    return {"clips cut": int(num_cut)}


def _live_image(processor: Processor, load: Load) -> Source:
    from PIL import Image

    blank = io.BytesIO()
    Image.new("RGB", (32, 32)).save(blank, "PNG")
    return LiveSource(processor, load, blank.getvalue())


def _examine_image(data: Any, processor: Any, max_pixels: int) -> None:
    check_image(data, max_pixels=max_pixels)


def _examine_sound(source: Any, processor: Any, max_pixels: int) -> None:
    decode_sound(source, max_seconds=processor.max_seconds)


_IMAGE: dict[str, Any] = {
    "encoder": "image", "load": read_media, "live": _live_image, "examine": _examine_image, "count": None,
    "plural": "images",
}  # fmt: skip

MODALITY_KINDS.add(
    "text", ModalityKind("text", _as_it_is, lambda p, load: LiveSource(p, load, ""), None, _count_texts, "texts")
)
MODALITY_KINDS.add("image", ModalityKind(**_IMAGE))
MODALITY_KINDS.add("image_set", ModalityKind(**_IMAGE))  # of its members
MODALITY_KINDS.add(
    "audio",
    ModalityKind("audio", find_sound, KeptSource, _examine_sound, _count_cut_clips, "sounds", import_soundfile),
)
MODALITY_KINDS.add(
    "vector", ModalityKind(None, _as_it_is, lambda p, load: LiveSource(p, load, None), None, None, "vectors")
)
MODALITY_KINDS.add(
    "tabular", ModalityKind(None, _as_it_is, lambda p, load: LiveSource(p, load, None), None, None, "rows")
)
