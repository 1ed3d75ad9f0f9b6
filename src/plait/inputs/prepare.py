"""From a table to what a model takes: read the cells, encode what is frozen, report what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from plait.data.items import read_rows
from plait.data.memory import keep_freed
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.rows import Items, Rows
from plait.data.schema import Schema
from plait.data.table import BadRow, Table
from plait.inputs.dataset import LiveSetSource, SetSource, Source
from plait.inputs.feature_store import FeatureStore, encode_items
from plait.inputs.feature_store.batches import reason_of
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS, Load, TrainingRows, loader
from plait.inputs.ngrams import NgramSource
from plait.inputs.words import WordSource
from plait.processors.cleaning import clean_texts
from plait.processors.ngrams import NgramProcessor
from plait.processors.words import WordProcessor


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
    counts: bool = True,
) -> Prepared:
    """Read and encode every cell; one that fails is reported and is missing.

    A modality whose processor is not fitted yet is left to ``fit_inputs``. Without ``counts`` nobody asks how many
    texts are cut or cleaned (``rows.notes``), for which stored texts are cut into tokens again.
    """
    prepared = Prepared(read_rows(table, inputs.modalities, progress))
    for modality in inputs.modalities:
        if modality.name in inputs.processors:
            _add_source(prepared, modality, inputs, store, progress, batch_size, counts)
    prepared.rows.bad.sort(key=lambda b: (b.row, b.column or ""))
    return prepared


def examined(table: Table, inputs: Inputs, schema: Schema, progress: Progress | None = None) -> list[BadRow]:
    """Every cell that cannot be read, by row; cells are decoded and nothing is encoded."""
    prepared = Prepared(read_rows(table, inputs.modalities, progress))
    for modality in inputs.modalities:
        if modality.name in inputs.processors:
            items = prepared.rows.items[modality.name]
            single = items if items.parts is None else items.parts
            failures = _faults(single, inputs, loader(single, table.media_folder), progress)
            _report_failures(prepared, modality, items, failures)
    report_unreadable(inputs, prepared, schema)
    return prepared.rows.bad


def _report_failures(prepared: Prepared, modality: Modality, items: Items, failures: dict[int, str]) -> None:
    """Report the rows that show an item which cannot be used, or a set with one among its members."""
    if items.parts is not None:
        failures = {
            number: failures[part] for number, members in enumerate(items.cells) for part in members
            if part in failures
        }  # fmt: skip
    for position, reason in items.drop(failures):
        prepared.rows.report(position, modality.columns[0], reason)


def report_unreadable(inputs: Inputs, prepared: Prepared, schema: Schema) -> None:
    """Report the cells that are no values of their column's kind where that is known before training.

    So the policy for bad rows decides on them before anything is learned from the rows that stay.
    """
    every = np.arange(len(prepared.rows))
    for modality in inputs.modalities:
        unreadable = MODALITY_KINDS.get(modality.kind).unreadable
        if unreadable is not None:
            prepared.rows.bad += unreadable(modality, _training_rows(prepared, modality, every, schema))
    prepared.rows.bad.sort(key=lambda b: (b.row, b.column or ""))


def _training_rows(prepared: Prepared, modality: Modality, positions: np.ndarray, schema: Schema) -> TrainingRows:
    kinds = {c.name: c.kind or "" for c in schema.columns}
    return TrainingRows(prepared.rows.table, prepared.rows.items[modality.name], positions, kinds, schema.readings)


def fit_inputs(
    inputs: Inputs, prepared: Prepared, train_rows: np.ndarray, schema: Schema, numbers: str = "linear",
    categories: str = "full",
) -> None:  # fmt: skip
    """Let the kinds that learn from training rows do so, from those rows only, and prepare what waited for it.

    Args:
        inputs: Completed in place.
        prepared: All rows; completed in place.
        train_rows: Positions of the training rows.
        schema: The columns of the table.
        numbers: How a network is given a number (``encoders.numbers``).
        categories: How it is given a category (``encoders.categories``).
    """
    for modality in inputs.modalities:
        name, fit = modality.name, MODALITY_KINDS.get(modality.kind).fit
        if name in inputs.words:
            _fit_words(inputs, prepared, modality, train_rows)
        if fit is None:
            continue
        training = replace(
            _training_rows(prepared, modality, train_rows, schema), numbers=numbers, categories=categories
        )
        made = fit(modality, inputs.processors.get(name), inputs.live.get(name), training)
        inputs.processors[name], inputs.live[name] = made
        if name not in prepared.sources:
            _add_source(prepared, modality, inputs)
    prepared.rows.bad = list(dict.fromkeys(prepared.rows.bad))  # cells reported before anything was learned, again
    prepared.sources = {m.name: prepared.sources[m.name] for m in inputs.modalities}


def _add_source(
    prepared: Prepared, modality: Modality, inputs: Inputs, store: FeatureStore | None = None,
    progress: Progress | None = None, batch_size: int = 32, counts: bool = True,
) -> None:  # fmt: skip
    """Where the tensors of one modality come from; items that cannot be used are reported and are missing."""
    name, rows, kind = modality.name, prepared.rows, MODALITY_KINDS.get(modality.kind)
    items = rows.items[name]
    if kind.require is not None and items.keys:
        kind.require()
    single = items if items.parts is None else items.parts
    load = loader(single, rows.table.media_folder)
    if name in inputs.frozen:
        source, failures = _encoded(inputs, modality, single, load, store, batch_size, progress)
    else:
        source = kind.live(inputs.processors[name], single, load)
        failures = _faults(single, inputs, load, progress)
    if items.parts is not None:
        source = (
            SetSource(source, items.cells, has_tokens=inputs.with_tokens)
            if name in inputs.frozen
            else (LiveSetSource(source, items.cells))
        )
    prepared.sources[name] = with_words(source, inputs, modality, load)
    _report_failures(prepared, modality, items, failures)
    if kind.count is not None and counts:
        found = kind.count(items, inputs.processors[name], load)
        rows.notes |= {f"{name}: {what}": number for what, number in found.items() if number}
    if kind.report is not None:
        kind.report(items, inputs.processors[name], rows)
        rows.bad.sort(key=lambda b: (b.row, b.column or ""))


def add_ngrams(inputs: Inputs, prepared: Prepared, modality: Modality, processor: NgramProcessor) -> None:
    """Let a text modality's tensors hold its n-grams, here and wherever these inputs prepare a table."""
    inputs.ngrams[modality.name] = processor
    load = loader(prepared.rows.items[modality.name], prepared.rows.table.media_folder)
    cleaning = getattr(inputs.processors[modality.name], "cleaning", "none")
    prepared.sources[modality.name] = NgramSource(prepared.sources[modality.name], processor, load, cleaning)


def texts_of(inputs: Inputs, prepared: Prepared, modality: Modality) -> list[str]:
    """The unique texts of a modality, cleaned as for its encoder."""
    cleaning = getattr(inputs.processors[modality.name], "cleaning", "none")
    return clean_texts(list(prepared.rows.items[modality.name].cells), cleaning)[0]


def _fit_words(inputs: Inputs, prepared: Prepared, modality: Modality, train_rows: np.ndarray) -> None:
    """Learn the words of the training texts, and let the modality's tensors hold them; no bag where there are none."""
    items, texts = prepared.rows.items[modality.name], texts_of(inputs, prepared, modality)
    number = np.unique(items.index_N[train_rows])
    inputs.words[modality.name] = WordProcessor.fit([texts[i] for i in number[number >= 0]])
    if inputs.words[modality.name] is None:
        del inputs.words[modality.name]
        return
    load = loader(items, prepared.rows.table.media_folder)
    prepared.sources[modality.name] = with_words(prepared.sources[modality.name], inputs, modality, load)


def with_words(source: Source, inputs: Inputs, modality: Modality, load: Load) -> Source:
    """The source with what is read beside the encoder: words of a bag, n-grams of an ensemble, where there are any."""
    cleaning = getattr(inputs.processors[modality.name], "cleaning", "none")
    words, ngrams = inputs.words.get(modality.name), inputs.ngrams.get(modality.name)
    if words is not None:
        source = WordSource(source, words, load, cleaning)
    return source if ngrams is None else NgramSource(source, ngrams, load, cleaning)


def _encoded(
    inputs: Inputs, modality: Modality, items: Items, load: Load, store: FeatureStore | None, batch_size: int,
    progress: Progress | None,
) -> tuple[Source, dict[int, str]]:  # fmt: skip
    """Features of a frozen encoder, and the reasons of items that have none."""
    features, failures = encode_items(
        store or FeatureStore(),
        inputs.frozen[modality.name],
        inputs.processors[modality.name],
        items.keys,
        load,
        batch_size=batch_size,
        with_tokens=inputs.with_tokens and not MODALITY_KINDS.get(modality.kind).is_set,
        device=inputs.device or ("cuda" if torch.cuda.is_available() else None),
        progress=progress,
        on_error="collect",
        engine=inputs.engine,
        engine_required=inputs.is_new,
    )
    if inputs.is_new and modality.name in inputs.references:
        inputs.references[modality.name].setdefault("engine", features.engine)
    return features, failures


def _faults(items: Items, inputs: Inputs, load: Load, progress: Progress | None) -> dict[int, str]:
    """Decode every item of a trained encoder once, so that a broken one is known before training starts."""
    kind = MODALITY_KINDS.get(items.modality.kind)
    processor = inputs.processors[items.modality.name]
    failures: dict[int, str] = {}
    keep_freed()  # the encoder works on these items in the model
    if kind.examine is None:
        return {}
    for i in range(len(items.keys)):
        try:
            kind.examine(load(i), processor, inputs.max_pixels)
        except ImportError:  # a package is missing: no item's fault
            raise
        except Exception as error:  # a decoder may raise anything; the reason is handed on
            failures[i] = reason_of(error)
        if progress is not None and kind.plural:
            progress(i + 1, len(items.keys), f"checking {kind.plural}")
    return failures
