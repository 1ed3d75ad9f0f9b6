"""From a table to what a model takes: read the cells, encode what is frozen, report what cannot be read.

``Inputs`` holds the processors and frozen encoders of a model; the same object prepares training tables and
tables to predict, so both go through identical steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.batches import LiveSource, Source, TensorSource
from plait.data.media import CellError, check_image, read_media
from plait.data.schema import Modality
from plait.data.table import Table
from plait.encoders.base import Encoder
from plait.encoders.load import load_encoder
from plait.encoders.tabular import TabularEncoder
from plait.encoders.tuning import set_tuning
from plait.features import FeatureStore, encode_items
from plait.processors import HashedTextProcessor, Processor, TabularProcessor, TextProcessor, load_processor
from plait.processors.cleaning import clean_texts
from plait.rows import Items, Rows, read_rows
from plait.settings import EncoderSettings

Progress = Callable[[int, int, str], None]
TABULAR_WIDTH = 64
BLANKS: dict[str, Any] = {"text": "", "image": None}


@dataclass
class Inputs:
    """Processors and encoders of a model's modalities.

    Attributes:
        modalities: In model order.
        processors: One per modality name.
        frozen: Frozen encoders, which run outside the model through the feature store.
        live: Encoders that are trained; the model owns them once it is built.
        references: What to load for each frozen encoder again: reference, kind, image_size, max_length,
            fingerprint.
        with_tokens: Whether features keep their tokens beside the vector.
        max_pixels: Largest image accepted.
    """

    modalities: tuple[Modality, ...]
    processors: dict[str, Processor]
    frozen: dict[str, Encoder]
    live: dict[str, Encoder]
    references: dict[str, dict[str, Any]]
    with_tokens: bool
    max_pixels: int

    def save(self, folder: Path) -> None:
        """Write processors and references as JSON."""
        for number, modality in enumerate(self.modalities):
            place = folder / "processors" / f"{number:02d}"
            place.mkdir(parents=True, exist_ok=True)
            self.processors[modality.name].save(place)
        facts = {
            "modalities": [
                {
                    "name": m.name,
                    "kind": m.kind,
                    "columns": list(m.columns),
                    "frozen": self.references.get(m.name),
                }
                for m in self.modalities
            ],
            "with_tokens": self.with_tokens,
            "max_pixels": self.max_pixels,
        }
        (folder / "inputs.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Inputs:
        """Read what ``save`` wrote and load the frozen encoders.

        Raises:
            ValueError: An encoder's weights are not on this machine, or are not those the model was trained
                with.
        """
        facts = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        modalities, processors, frozen, references = [], {}, {}, {}
        loaded: dict[str, Encoder] = {}
        for number, entry in enumerate(facts["modalities"]):
            name = entry["name"]
            modalities.append(Modality(name, entry["kind"], tuple(entry["columns"])))
            processors[name] = load_processor(folder / "processors" / f"{number:02d}")
            reference = entry["frozen"]
            if reference is None:
                continue
            key = json.dumps(reference, sort_keys=True)
            if key not in loaded:
                encoder, _ = load_encoder(
                    reference["reference"],
                    reference["kind"],
                    reference["image_size"],
                    reference["max_length"],
                )
                if encoder.fingerprint != reference["fingerprint"]:
                    raise ValueError(
                        f"the encoder {reference['reference']!r} on this machine has other weights than the "
                        f"one this model was trained with (fingerprint {encoder.fingerprint[:12]}, expected "
                        f"{reference['fingerprint'][:12]}); fetch the original weights or train again"
                    )
                loaded[key] = encoder
            frozen[name], references[name] = loaded[key], reference
        return cls(tuple(modalities), processors, frozen, {}, references, facts["with_tokens"], facts["max_pixels"])


def load_inputs(
    modalities: tuple[Modality, ...], settings: EncoderSettings, *, with_tokens: bool, max_pixels: int
) -> Inputs:
    """Load the encoders that the settings name; the tabular one comes later (see ``fit_tabular``)."""
    inputs = Inputs(modalities, {}, {}, {}, {}, with_tokens, max_pixels)
    shared: dict[str, tuple[Encoder, Processor]] = {}
    for modality in modalities:
        if modality.kind == "tabular":
            continue
        reference = settings.text if modality.kind == "text" else settings.image
        trained = settings.tuning != "frozen" or reference.startswith("scratch:")
        if modality.kind not in shared or trained:
            encoder, processor = load_encoder(reference, modality.kind, settings.image_size, settings.max_length)
            if hasattr(processor, "max_pixels"):
                processor.max_pixels = max_pixels
            if modality.kind == "text":
                _set_cleaning(processor, settings.text_cleaning or "none", reference)
            if trained and not reference.startswith("scratch:"):
                options = {"n": settings.last_n} if settings.tuning == "last_n" else {}
                set_tuning(encoder, settings.tuning, **options)
            shared[modality.kind] = (encoder, processor)
        encoder, processor = shared[modality.kind]
        inputs.processors[modality.name] = processor
        if trained:
            inputs.live[modality.name] = encoder
        else:
            inputs.frozen[modality.name] = encoder
            inputs.references[modality.name] = {
                "reference": reference,
                "kind": modality.kind,
                "image_size": settings.image_size,
                "max_length": settings.max_length,
                "fingerprint": encoder.fingerprint,
            }
    return inputs


def _set_cleaning(processor: Processor, cleaning: str, reference: str) -> None:
    if isinstance(processor, TextProcessor | HashedTextProcessor):
        processor.cleaning = cleaning
    elif cleaning != "none":
        raise ValueError(
            f"the text encoder {reference!r} takes no text cleaning; type --set encoders.text_cleaning=none, or clean "
            "the texts first"
        )


def fit_tabular(
    inputs: Inputs, table: Table, train_rows: np.ndarray, columns: dict[str, str], width: int = TABULAR_WIDTH
) -> None:
    """Fit the tabular processor on the training rows only, and make its encoder.

    Args:
        inputs: Completed in place.
        table: The whole table.
        train_rows: Positions of the training rows.
        columns: Kind ("numeric" or "categorical") of each tabular column.
        width: Width of the tabular encoder.
    """
    for modality in inputs.modalities:
        if modality.kind != "tabular":
            continue
        train = table.take(train_rows)
        values = {c: train.column(c) for c in modality.columns}
        processor = TabularProcessor.fit(
            values,
            numeric=[c for c in modality.columns if columns[c] == "numeric"],
            categorical=[c for c in modality.columns if columns[c] == "categorical"],
        )
        inputs.processors[modality.name] = processor
        inputs.live[modality.name] = TabularEncoder(len(processor.numeric), processor.cardinalities, width)


@dataclass
class Prepared:
    """A table made ready: rows with their items and reports, and per modality where tensors come from."""

    rows: Rows
    sources: dict[str, Source] = field(default_factory=dict)


def prepare(
    table: Table,
    inputs: Inputs,
    *,
    store: FeatureStore | None = None,
    progress: Progress | None = None,
    batch_size: int = 32,
) -> Prepared:
    """Read and encode every text and image cell; one that fails is reported in ``rows.bad`` and is missing.

    The tabular modality is added by ``add_tabular``, once its processor is fitted.
    """
    rows = read_rows(table, inputs.modalities)
    prepared = Prepared(rows)
    for modality in inputs.modalities:
        if modality.kind == "tabular":
            continue
        items = rows.items[modality.name]
        load = _loader(items, table.root)
        if modality.name in inputs.frozen:
            failures: dict[int, str] = {}
            if items.keys:
                prepared.sources[modality.name], failures = encode_items(
                    store or FeatureStore(),
                    inputs.frozen[modality.name],
                    inputs.processors[modality.name],
                    items.keys,
                    load,
                    batch_size=batch_size,
                    with_tokens=inputs.with_tokens,
                    device="cuda" if torch.cuda.is_available() else None,
                    progress=progress,
                    on_error="collect",
                )
            else:
                prepared.sources[modality.name] = _EmptyFeatures(inputs, modality)
        else:
            failures = _check_items(items, load, inputs.max_pixels, progress) if modality.kind == "image" else {}
            blank = "" if modality.kind == "text" else _blank_image()
            prepared.sources[modality.name] = LiveSource(inputs.processors[modality.name], load, blank)
        for position, reason in items.drop(failures):
            rows.report(position, modality.columns[0], reason)
        cleaning = getattr(inputs.processors[modality.name], "cleaning", "none")
        if cleaning != "none":
            for what, num in sorted(clean_texts(items.cells, cleaning)[1].items()):
                rows.notes[f"{modality.name}: {what} ({cleaning} cleaning)"] = num
        if modality.kind == "text" and (num_cut := _count_cut(items, inputs.processors[modality.name])):
            rows.notes[f"{modality.name}: texts cut"] = num_cut
    rows.bad.sort(key=lambda b: (b.row, b.column or ""))
    return prepared


def add_tabular(prepared: Prepared, inputs: Inputs) -> None:
    """Process numbers and categories with the fitted processor."""
    for modality in inputs.modalities:
        if modality.kind == "tabular":
            items = prepared.rows.items[modality.name]
            columns = {c: [cell.get(c) for cell in items.cells] for c in modality.columns}
            processor = inputs.processors[modality.name]
            assert isinstance(processor, TabularProcessor)
            counters = {
                "numbers unreadable": processor.num_invalid,
                "categories unknown": processor.num_unknown,
                "numbers clipped": processor.num_clipped,
            }
            for counter in counters.values():
                counter.clear()
            prepared.sources[modality.name] = TensorSource(processor.process(columns))
            for what, counter in counters.items():
                if sum(counter.values()):
                    prepared.rows.notes[f"{modality.name}: {what}"] = sum(counter.values())
    prepared.sources = {m.name: prepared.sources[m.name] for m in inputs.modalities}


def _loader(items: Items, root: Path | None) -> Callable[[int], Any]:
    if items.modality.kind == "text":
        return lambda i: items.cells[i]
    return lambda i: read_media(items.cells[i], root)


def _count_cut(items: Items, processor: Any) -> int:
    """How many different texts are longer than the encoder reads, stored features or not.

    A text with few bytes cannot have many tokens, so only the longer ones are cut into tokens again.
    """
    long = [t for t in items.cells if len(t.encode("utf-8", "surrogatepass")) >= processor.max_length // 2 - 1]
    before = processor.num_truncated
    for start in range(0, len(long), 256):
        processor.process(long[start : start + 256])
    return int(processor.num_truncated - before)


def _check_items(
    items: Items, load: Callable[[int], Any], max_pixels: int, progress: Progress | None
) -> dict[int, str]:
    """Decode every image once, so that a broken one is known before training starts."""
    failures = {}
    for i in range(len(items.keys)):
        try:
            check_image(load(i), max_pixels=max_pixels)
        except CellError as error:
            failures[i] = str(error)
        if progress is not None:
            progress(i + 1, len(items.keys), "checking images")
    return failures


class _EmptyFeatures:
    """Features of a modality of which no row has an item: zeros, which the model masks."""

    def __init__(self, inputs: Inputs, modality: Modality) -> None:
        encoder = inputs.frozen[modality.name]
        self.vector_dim = encoder.vector_dim
        self.token_dim = encoder.token_dim if inputs.with_tokens else None

    def take(self, index_B: np.ndarray) -> dict[str, torch.Tensor]:
        """Zeros, and one masked token where the model expects tokens."""
        taken = {"vector_BD": torch.zeros(len(index_B), self.vector_dim)}
        if self.token_dim is not None:
            taken["tokens_BTD"] = torch.zeros(len(index_B), 1, self.token_dim)
            taken["mask_BT"] = torch.zeros(len(index_B), 1, dtype=torch.bool)
        return taken


def _blank_image() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")
    return buffer.getvalue()
