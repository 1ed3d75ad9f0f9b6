"""What the JSON files of a model folder must hold, each by itself and compared with each other.

Values come in as they were parsed; every complaint is one line that names the file, the key, what stands there and what
was expected. A hash cannot notice what is looked for here: a folder put together of two models, or edited together with
its manifest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.schema import Schema
from plait.encoders.vector import VectorEncoder
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitModel
from plait.processors import TabularProcessor, VectorProcessor
from plait.settings import RunSettings
from plait.settings.json_values import (
    JsonObject,
    check_counts,
    cut,
    is_count,
    is_filled_list,
    is_mapping,
    is_name,
    is_new_name,
    is_number,
    is_numbers,
    is_positive,
    is_rates,
    is_share,
    is_size,
    or_none,
)  # fmt: skip
from plait.tasks import TASKS, Calibration, LabelState
from plait.tasks.calibrators import VectorScaling
from plait.weights.network_config import NetworkConfig


def check_config(values: Any) -> None:
    """Check ``config.json``, of the fused network or of one modality's.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = JsonObject("config.json", values)
    names: list[str] = []
    for number, one in enumerate(of.need("modalities", is_filled_list, "a list of modalities")):
        entry = JsonObject("config.json", one, f"modalities[{number}]")
        entry.need("name", is_new_name(names), "a name of its own")
        entry.need("kind", MODALITY_KINDS.__contains__, f"one of {', '.join(MODALITY_KINDS)}", hashable=True)
        entry.need("vector_dim", is_count, "a whole number above 0")
        entry.need("token_dim", or_none(is_count), "a whole number above 0, or null")
        entry.need("encoder", or_none(is_mapping), "the settings of an encoder, or null")
        entry.may("words", or_none(is_mapping), "the sizes of a bag of words, or null")
        if one.get("words"):
            words = JsonObject("config.json", one["words"], f"modalities[{number}].words")
            for key in ("num_words", "width"):
                words.need(key, is_count, "a whole number above 0")
            words.need("dropout", is_share, "a number from 0 to below 1")
        entry.may("shares", or_none(lambda v, known=tuple(names): v in known), "the name of an earlier modality")
        names.append(one["name"])
    for key in ("fusion", "head"):
        part = JsonObject("config.json", of.need(key, is_mapping, "settings"), key)
        part.need("name", is_name, "a name")
        part.need("dropout", is_share, "a number from 0 to below 1")
        (part.need if key == "fusion" else part.may)("options", is_mapping, "settings")
    fusion = JsonObject("config.json", values["fusion"], "fusion")
    fusion.need("width", is_count, "a whole number above 0")
    fusion.may("scaling", lambda v: v in ("rows", "features", "both"), '"rows", "features" or "both"', hashable=True)
    fusion.may("absence", lambda v: v in ("mask", "learned"), '"mask" or "learned"', hashable=True)
    of.need("task", is_name, "a name")
    outputs = of.need("num_outputs", is_count, "a whole number above 0")
    of.may("modality_dropout", lambda v: is_share(v) or is_rates(v), "a number from 0 to below 1, or one a modality")
    of.may("modality_dropout_pattern", lambda v: v in ("independent", "subset"), '"independent" or "subset"', True)
    of.may("alignment", is_number, "a number")
    of.may("class_weights", or_none(lambda v: is_numbers(v) and len(v) == outputs), f"{outputs} numbers, or null")
    check_counts("config.json", values)


def check_inputs(values: Any) -> None:
    """Check ``inputs.json``.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = JsonObject("inputs.json", values)
    of.need("with_tokens", lambda v: isinstance(v, bool), "true or false")
    of.need("max_pixels", is_size, "a whole number above 0")
    names: list[str] = []
    for number, one in enumerate(of.need("modalities", is_filled_list, "a list of modalities")):
        entry = JsonObject("inputs.json", one, f"modalities[{number}]")
        names.append(entry.need("name", is_new_name(names), "a name of its own"))
        entry.need("kind", MODALITY_KINDS.__contains__, f"one of {', '.join(MODALITY_KINDS)}", hashable=True)
        entry.need("columns", lambda v: is_filled_list(v) and all(map(is_name, v)), "a list of column names")
        frozen = entry.need("frozen", or_none(is_mapping), "what to load for its encoder, or null")
        if frozen is None:
            continue
        encoder = JsonObject("inputs.json", frozen, f"modalities[{number}].frozen")
        for key in ("reference", "kind", "fingerprint"):
            encoder.need(key, is_name, "text")
        encoder.need("image_size", or_none(is_count), "a whole number above 0, or null")
        encoder.need("max_length", is_count, "a whole number above 0")
        encoder.may("audio_seconds", is_positive, "a number above 0")
        encoder.may("stored", is_mapping, "the settings of an encoder")
        encoder.may("engine", is_name, "text")


def check_labels(values: Any) -> None:
    """Check ``labels.json``.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = JsonObject("labels.json", values)
    classes = of.need(
        "classes", lambda v: isinstance(v, list) and all(isinstance(c, str) for c in v), "a list of texts"
    )
    if len(set(classes)) < len(classes):
        raise ValueError("labels.json: classes holds one class twice; expected each once")
    of.need("mean", is_number, "a number")
    of.need("std", is_positive, "a number above 0")
    single = 1 if len(classes) == 2 else 0

    def fits(found: Any) -> bool:
        return is_numbers(found) and len(found) in (single, len(classes)) and all(0 <= t <= 1 for t in found)

    of.may("thresholds", fits, "a number from 0 to 1 for each label or class, or one of two classes")
    of.may("thresholds_alone", lambda v: is_mapping(v) and all(map(fits, v.values())), "such thresholds by modality")
    of.may("tokens", or_none(is_mapping), "how answers are cut into tokens, or null")
    of.may("language", or_none(is_mapping), "the description of a language model, or null")


def check_agreement(
    config: NetworkConfig, inputs: Inputs, labels: LabelState, schema: Schema, settings: RunSettings
) -> None:
    """Compare what the files say of the same thing.

    Raises:
        ValueError: Two of them say different things.
    """
    mine = [(m["name"], m["kind"]) for m in config.modalities]
    theirs = [(m.name, m.kind) for m in inputs.modalities]
    _same("config.json", "modalities", mine, "inputs.json", theirs)
    read = sorted((m.name, m.kind, m.columns) for m in inputs.modalities)
    known = sorted((m.name, m.kind, m.columns) for m in schema.modalities)
    _same("inputs.json", "modalities", read, "schema.json", known)
    task = TASKS.get(config.task)
    _same("run.yaml", "task.name", settings.task.name or task.name, "config.json", task.name)
    _same(
        "run.yaml", "fusion.name", settings.fusion.name or config.fusion["name"], "config.json", config.fusion["name"]
    )
    if task.needs_target and schema.target is None:
        raise ValueError(
            f"schema.json has no target column, and config.json names the task {task.name}, which needs one"
        )
    _same("config.json", "num_outputs", config.num_outputs, "labels.json", labels.num_outputs)
    for number, entry in enumerate(config.modalities):
        name = entry["name"]
        known = inputs.words.get(name)
        counted = None if known is None else len(known)
        held = (entry.get("words") or {}).get("num_words")
        _same("config.json", f"number of words of {name!r}", held, f"processors/{number:02d}/words.json", counted)
        encoder = inputs.frozen.get(name)
        inside = entry["encoder"] is not None or bool(entry.get("shares"))
        if inside == (encoder is not None):
            where = "both files bring one" if inside else "neither file brings one"
            raise ValueError(f"config.json and inputs.json disagree on the encoder of {name!r}: {where}")
        if encoder is None:
            continue
        is_set = MODALITY_KINDS.get(entry["kind"]).is_set
        tokens = (encoder.vector_dim if is_set else encoder.token_dim) if inputs.with_tokens else None
        bag = (entry.get("words") or {}).get("width", 0)
        _same("config.json", f"vector_dim of {name!r}", entry["vector_dim"] - bag, "its encoder", encoder.vector_dim)
        _same("config.json", f"token_dim of {name!r}", entry["token_dim"], "its encoder", tokens)


def check_processors(model: PlaitModel, inputs: Inputs) -> None:
    """Compare processors with the columns they read and the encoders they feed.

    Raises:
        ValueError: They do not fit together.
    """
    for number, modality in enumerate(inputs.modalities):
        file, processor = f"processors/{number:02d}/processor.json", inputs.processors[modality.name]
        kind = MODALITY_KINDS.get(modality.kind).encoder or modality.kind
        _same(file, "kind of what it reads", processor.kind, "inputs.json", kind)
        encoder = model.encoder_of(number) or inputs.frozen[modality.name]
        makes, takes = processor.to_json(), encoder.description
        for key in ("num_buckets", "num_mels"):
            if key in makes and key in takes:
                _same(file, key, makes[key], "its encoder", takes[key])
        sized = "num_buckets" in makes and "max_length" in makes and "max_length" in takes
        if sized and makes["max_length"] > takes["max_length"]:
            _same(file, "max_length", makes["max_length"], "its encoder", takes["max_length"])
        if isinstance(processor, VectorProcessor) and isinstance(encoder, VectorEncoder):
            _same(file, "width", processor.width, "its encoder", takes["width"])
        if isinstance(processor, TabularProcessor):
            columns = sorted({*processor.numeric, *processor.categorical, *processor.dates})
            _same(file, "columns", columns, "inputs.json", sorted(modality.columns))
            _same(file, "number of numbers", processor.num_numbers, "its encoder", takes["num_numeric"])
            _same(file, "sizes of categories", processor.cardinalities, "its encoder", takes["cardinalities"])


def check_companion(name: Any, config: NetworkConfig, whole: NetworkConfig, place: str) -> None:
    """Compare the network of one modality with the fused one.

    Raises:
        ValueError: It is not of a modality of that model, or of another task.
    """
    if not isinstance(name, str) or config.modality_names != [name] or name not in whole.modality_names:
        raise ValueError(
            f"{place}/modality.json names the modality {name!r}, its config.json {config.modality_names}, and the "
            f"model's are {whole.modality_names}; expected one of these in both"
        )
    for key in ("task", "num_outputs"):
        _same(f"{place}/config.json", key, getattr(config, key), "the model's config.json", getattr(whole, key))


def _same(file: str, key: str, value: Any, other: str, theirs: Any) -> None:
    if value != theirs:
        raise ValueError(
            f"{file} and {other} disagree: {key} is {cut(value)} in the one and {cut(theirs)} in the other"
        )


def check_calibration(calibration: Calibration, config: NetworkConfig, labels: LabelState) -> None:
    """Compare ``calibration.json`` with the model it stands beside.

    Raises:
        ValueError: Other modalities or classes, or numbers that cannot be.
    """
    names = tuple(config.modality_names)
    if calibration.names != names:
        raise ValueError(f"calibration.json: it is of {', '.join(calibration.names)}, the model of {', '.join(names)}")
    if calibration.kind != TASKS.get(config.task).output_kind:
        raise ValueError(f"calibration.json: it is of {calibration.kind}, the model's task is {config.task}")
    if len(calibration.thresholds) not in (0, len(labels.thresholds)):
        raise ValueError(
            f"calibration.json: it has {len(calibration.thresholds)} thresholds, the model {len(labels.thresholds)}"
        )
    calibrator = calibration.calibrator
    if calibrator is not None:
        if isinstance(calibrator, VectorScaling) and len(calibrator.factors) != labels.num_outputs:
            raise ValueError(
                f"calibration.json: its calibrator is of {len(calibrator.factors)} classes, the model has "
                f"{labels.num_outputs}"
            )
        made = calibrator.logits(np.zeros((1, labels.num_outputs)))
        if made.shape != (1, labels.num_outputs) or not np.isfinite(made).all():
            raise ValueError("calibration.json: its calibrator gives no finite outputs of this model's classes")
    top = max(1, len(labels.classes))
    if len(calibration) and not (-1 <= calibration.class_N.min() and calibration.class_N.max() < top):
        raise ValueError("calibration.json: it names a class that the model does not have")
