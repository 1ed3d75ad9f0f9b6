"""What a model's modalities are read by: processors, frozen encoders and those that are trained.

The same ``Inputs`` prepare training tables and tables to predict, so both go through identical steps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.data.modality import Modality
from plait.data.table import Table
from plait.encoders.added import AddedEncoder, load_stored, save_weights
from plait.encoders.base import Encoder
from plait.encoders.deferred import deferred_encoder
from plait.encoders.load import LOADERS, files_of, load_encoder
from plait.encoders.tuning import set_tuning
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.processors import load_processor
from plait.processors.ngrams import FILE as NGRAM_FILE
from plait.processors.ngrams import NgramProcessor
from plait.processors.words import FILE as WORD_FILE
from plait.processors.words import WordProcessor
from plait.registry import unknown_name
from plait.settings import EncoderSettings

if TYPE_CHECKING:
    from plait.processors import Processor

FORMAT = 2  # of model folders that have a manifest; those before it name no format


@dataclass
class Inputs:
    """Processors and encoders of a model's modalities.

    Attributes:
        modalities: In model order.
        processors: One per modality name.
        frozen: Frozen encoders, which run outside the model through the feature store.
        live: Encoders that are trained; the model owns them once it is built.
        references: What to load for each frozen encoder again: reference, kind, image_size, max_length,
            fingerprint, engine; of one whose weights the model holds itself its description, under ``stored``.
        with_tokens: Whether features keep their tokens beside the vector.
        max_pixels: Largest image accepted.
        ngrams: N-grams of text modalities, for members of an ensemble that read them.
        test_views: Views over which answers average the vectors of frozen encoders; 1: off. Not saved.
        words: Words of text modalities whose model has a bag of words; None before ``fit_inputs`` learned them.
        device: Where frozen encoders work; None: on a GPU where there is one. Not saved.
        engine: What runs frozen encoders on a CPU, as ``encoders.engine`` says. Not saved here: a setting of the run.
        is_new: Whether these are inputs of a model that is being trained: the engine that encodes first is noted in
            ``references``, and one asked for by name must work. Not saved.
    """

    modalities: tuple[Modality, ...]
    processors: dict[str, Processor]
    frozen: dict[str, Encoder]
    live: dict[str, Encoder]
    references: dict[str, dict[str, Any]]
    with_tokens: bool
    max_pixels: int
    ngrams: dict[str, NgramProcessor] = field(default_factory=dict)
    words: dict[str, WordProcessor | None] = field(default_factory=dict)
    test_views: int = 1
    device: str | None = None
    engine: str = "torch"
    is_new: bool = False

    def save(self, folder: Path) -> None:
        """Write processors and references as JSON."""
        for number, modality in enumerate(self.modalities):
            place = folder / "processors" / f"{number:02d}"
            place.mkdir(parents=True, exist_ok=True)
            self.processors[modality.name].save(place)
            if modality.name in self.ngrams:
                self.ngrams[modality.name].save(place)
            known = self.words.get(modality.name)
            if known is not None:
                known.save(place)
            if "stored" in self.references.get(modality.name, {}):
                save_weights(self.frozen[modality.name], place)
        facts = {
            "format": FORMAT,
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

    def accept_pixels(self, max_pixels: int) -> None:
        """Take pictures of so many pixels from here on."""
        self.max_pixels = max_pixels
        for processor in self.processors.values():
            if hasattr(processor, "max_pixels"):
                processor.max_pixels = max_pixels

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
        ngrams: dict[str, NgramProcessor] = {}
        words: dict[str, WordProcessor | None] = {}
        for number, entry in enumerate(facts["modalities"]):
            name = entry["name"]
            modalities.append(Modality(name, entry["kind"], tuple(entry["columns"])))
            processors[name] = load_processor(folder / "processors" / f"{number:02d}")
            if (folder / "processors" / f"{number:02d}" / NGRAM_FILE).is_file():
                ngrams[name] = NgramProcessor.load(folder / "processors" / f"{number:02d}")
            if (folder / "processors" / f"{number:02d}" / WORD_FILE).is_file():
                words[name] = WordProcessor.load(folder / "processors" / f"{number:02d}")
            reference = entry["frozen"]
            if reference is None:
                continue
            key = json.dumps({k: v for k, v in reference.items() if k != "engine"}, sort_keys=True)
            if key not in loaded:
                encoder = _frozen_again(reference, folder / "processors" / f"{number:02d}")
                if encoder.fingerprint != reference["fingerprint"]:
                    raise ValueError(
                        f"the encoder {reference['reference']!r} on this machine has other weights than the "
                        f"one this model was trained with (fingerprint {encoder.fingerprint[:12]}, expected "
                        f"{reference['fingerprint'][:12]}); fetch the original weights or train again"
                    )
                loaded[key] = encoder
            frozen[name], references[name] = loaded[key], reference
        return cls(
            tuple(modalities),
            processors,
            frozen,
            {},
            references,
            facts["with_tokens"],
            facts["max_pixels"],
            ngrams,
            words,
        )


def load_inputs(
    modalities: tuple[Modality, ...],
    settings: EncoderSettings,
    *,
    with_tokens: bool,
    max_pixels: int,
    table: Table | None = None,
) -> Inputs:
    """Load the encoders that the settings name.

    Those that learn something from training rows come unfitted, or not at all yet; see ``fit_inputs``.

    Raises:
        ValueError: ``encoders.columns`` or ``encoders.tuning_of`` names a column that no encoder reads, a reference is
            wrong, or an encoder from scratch is to stay as it begins.
    """
    inputs = Inputs(modalities, {}, {}, {}, {}, with_tokens, max_pixels, engine=settings.engine, is_new=True)
    shared: dict[tuple[str, str, str], tuple[Encoder, Processor]] = {}
    _check_columns(settings, modalities)
    for modality in modalities:
        kind = MODALITY_KINDS.get(modality.kind)
        if kind.own is not None and table is not None:
            inputs.processors[modality.name], inputs.live[modality.name] = kind.own(modality, table)
        encodes = kind.encoder
        if encodes is None:
            continue
        reference: str = settings.columns.get(modality.columns[0], getattr(settings, encodes))
        mode = _tuning_of(modality.columns[0], reference, settings)
        key, trained = (encodes, reference, mode), mode != "frozen"
        if key not in shared or (trained and not settings.shared):
            encoder, processor = load_encoder(
                reference, encodes, settings.image_size, settings.max_length, settings.audio_seconds,
                settings.spec_augment,
            )  # fmt: skip
            if hasattr(processor, "max_pixels"):
                processor.max_pixels = max_pixels
            if kind.configure is not None:
                kind.configure(processor, settings, reference)
            if trained and getattr(processor, "crops", "whole") != "whole":
                raise ValueError(
                    f"encoders.image_crops={settings.image_crops} averages what a frozen encoder sees, and that of "
                    f"{modality.columns[0]!r} is trained; type set=['encoders.image_crops=whole']"
                )
            if trained and not reference.startswith("scratch:"):
                set_tuning(encoder, mode, **({"n": settings.last_n} if mode == "last_n" else {}))
            encoder.batch_mb = settings.batch_mb
            shared[key] = (encoder, processor)
        if kind.has_words and settings.words:
            inputs.words[modality.name] = None
        encoder, processor = shared[key]
        inputs.processors[modality.name] = processor
        if trained:
            inputs.live[modality.name] = encoder
        else:
            inputs.frozen[modality.name] = encoder
            inputs.references[modality.name] = {
                "reference": reference,
                "kind": encodes,
                "image_size": settings.image_size,
                "max_length": settings.max_length,
                "audio_seconds": settings.audio_seconds,
                "fingerprint": encoder.fingerprint,
            }
            if _is_stored(reference):
                inputs.references[modality.name]["stored"] = dict(encoder.description)
    return inputs


def _is_stored(reference: str) -> bool:
    """Whether a model holds the weights of this encoder itself: it comes from a plug-in that cannot promise them."""
    prefix = reference.partition(":")[0]
    loader = LOADERS.get(prefix) if prefix in LOADERS else None
    return isinstance(loader, AddedEncoder) and loader.stored


def _frozen_again(reference: dict[str, Any], place: Path) -> Encoder:
    """The frozen encoder that a model names, or whose weights it holds in ``place``."""
    if "stored" in reference:
        encoder = load_stored(reference["stored"], place)
        set_tuning(encoder, "frozen")
        encoder.reference = reference["reference"]
        return encoder.eval()
    how = (reference["reference"], reference["kind"], reference["image_size"], reference["max_length"])
    read = partial(_read_encoder, *how, reference.get("audio_seconds", 30.0))
    places = files_of(reference["reference"])
    if places is None:
        return read()
    return deferred_encoder(json.dumps(read.args), places, reference["fingerprint"], read)


def _read_encoder(*how: Any) -> Encoder:
    return load_encoder(*how)[0]


def _tuning_of(column: str, reference: str, settings: EncoderSettings) -> str:
    """What is trained of a column's encoder; one from scratch is trained whole."""
    mode = str(settings.tuning_of.get(column, settings.tuning))
    if not reference.startswith("scratch:"):
        return mode
    if settings.tuning_of.get(column, "full") != "full":
        raise ValueError(
            f"encoders.tuning_of: {column} is {mode}, but its encoder {reference} begins from scratch and is trained "
            "whole; leave the column out there, or give it a pretrained encoder"
        )
    return "full"


def _check_columns(settings: EncoderSettings, modalities: tuple[Modality, ...]) -> None:
    """Refuse encoders and tunings for columns that no encoder reads, and references that are no text."""
    readable = [m.columns[0] for m in modalities if MODALITY_KINDS.get(m.kind).encoder is not None]
    for name, named in (("columns", settings.columns), ("tuning_of", settings.tuning_of)):
        for column in named:
            if column not in readable:
                raise ValueError(unknown_name(f"column with an encoder in encoders.{name}", column, readable))
    for column, reference in settings.columns.items():
        if not isinstance(reference, str):
            raise ValueError(f"encoders.columns: {column} must be the reference of an encoder, got {reference!r}")
