"""What the JSON files of a model folder must hold, each by itself and compared with each other.

Values come in as they were parsed; every complaint is one line that names the file, the key, what stands there and what
was expected. A hash cannot notice what is looked for here: a folder put together of two models, or edited together with
its manifest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from plait.data.schema import Schema
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import Inputs
from plait.model import PlaitConfig
from plait.processors.description import cut
from plait.tasks import LabelState

LARGEST = 2**31  # no width, count or length is larger; a loop over one would never end

Test = Callable[[Any], bool]


def check_config(values: Any) -> None:
    """Check ``config.json``, of the fused network or of one modality's.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = _Values("config.json", values)
    names: list[str] = []
    for number, one in enumerate(of.need("modalities", _is_filled_list, "a list of modalities")):
        entry = _Values("config.json", one, f"modalities[{number}]")
        entry.need("name", _is_new_name(names), "a name of its own")
        entry.need("kind", MODALITY_KINDS.__contains__, f"one of {', '.join(MODALITY_KINDS)}", hashable=True)
        entry.need("vector_dim", _is_count, "a whole number above 0")
        entry.need("token_dim", _or_none(_is_count), "a whole number above 0, or null")
        entry.need("encoder", _or_none(_is_mapping), "the settings of an encoder, or null")
        entry.may("shares", _or_none(lambda v, known=tuple(names): v in known), "the name of an earlier modality")
        names.append(one["name"])
    for key in ("fusion", "head"):
        part = _Values("config.json", of.need(key, _is_mapping, "settings"), key)
        part.need("name", _is_name, "a name")
        part.need("dropout", _is_share, "a number from 0 to below 1")
        (part.need if key == "fusion" else part.may)("options", _is_mapping, "settings")
    fusion = _Values("config.json", values["fusion"], "fusion")
    fusion.need("width", _is_count, "a whole number above 0")
    fusion.may("absence", lambda v: v in ("mask", "learned"), '"mask" or "learned"', hashable=True)
    of.need("task", _is_name, "a name")
    outputs = of.need("num_outputs", _is_count, "a whole number above 0")
    of.may("modality_dropout", lambda v: _is_share(v) or _is_rates(v), "a number from 0 to below 1, or one a modality")
    of.may("modality_dropout_pattern", lambda v: v in ("independent", "subset"), '"independent" or "subset"', True)
    of.may("alignment", _is_number, "a number")
    of.may("class_weights", _or_none(lambda v: _is_numbers(v) and len(v) == outputs), f"{outputs} numbers, or null")
    _check_counts("config.json", values)


def check_inputs(values: Any) -> None:
    """Check ``inputs.json``.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = _Values("inputs.json", values)
    of.need("with_tokens", lambda v: isinstance(v, bool), "true or false")
    of.need("max_pixels", _is_count, "a whole number above 0")
    names: list[str] = []
    for number, one in enumerate(of.need("modalities", _is_filled_list, "a list of modalities")):
        entry = _Values("inputs.json", one, f"modalities[{number}]")
        names.append(entry.need("name", _is_new_name(names), "a name of its own"))
        entry.need("kind", MODALITY_KINDS.__contains__, f"one of {', '.join(MODALITY_KINDS)}", hashable=True)
        entry.need("columns", lambda v: _is_filled_list(v) and all(map(_is_name, v)), "a list of column names")
        frozen = entry.need("frozen", _or_none(_is_mapping), "what to load for its encoder, or null")
        if frozen is None:
            continue
        encoder = _Values("inputs.json", frozen, f"modalities[{number}].frozen")
        for key in ("reference", "kind", "fingerprint"):
            encoder.need(key, _is_name, "text")
        encoder.need("image_size", _or_none(_is_count), "a whole number above 0, or null")
        encoder.need("max_length", _is_count, "a whole number above 0")
        encoder.may("audio_seconds", _is_positive, "a number above 0")


def check_labels(values: Any) -> None:
    """Check ``labels.json``.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = _Values("labels.json", values)
    classes = of.need("classes", lambda v: isinstance(v, list) and all(isinstance(c, str) for c in v), "a list of texts")
    if len(set(classes)) < len(classes):
        raise ValueError("labels.json: classes holds one class twice; expected each once")
    of.need("mean", _is_number, "a number")
    of.need("std", _is_positive, "a number above 0")
    of.may("tokens", _or_none(_is_mapping), "how answers are cut into tokens, or null")
    of.may("language", _or_none(_is_mapping), "the description of a language model, or null")


def check_agreement(config: PlaitConfig, inputs: Inputs, labels: LabelState, schema: Schema) -> None:
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
    _same("config.json", "num_outputs", config.num_outputs, "labels.json", labels.num_outputs)
    for entry in config.modalities:
        name = entry["name"]
        encoder = inputs.frozen.get(name)
        inside = entry["encoder"] is not None or bool(entry.get("shares"))
        if inside == (encoder is not None):
            where = "both files bring one" if inside else "neither file brings one"
            raise ValueError(f"config.json and inputs.json disagree on the encoder of {name!r}: {where}")
        if encoder is None:
            continue
        is_set = MODALITY_KINDS.get(entry["kind"]).is_set
        tokens = (encoder.vector_dim if is_set else encoder.token_dim) if inputs.with_tokens else None
        _same("config.json", f"vector_dim of {name!r}", entry["vector_dim"], "its encoder", encoder.vector_dim)
        _same("config.json", f"token_dim of {name!r}", entry["token_dim"], "its encoder", tokens)


def check_companion(name: Any, config: PlaitConfig, whole: PlaitConfig, place: str) -> None:
    """Compare the network of one modality with the fused one.

    Raises:
        ValueError: It is not of a modality of that model, or of another task.
    """
    if not isinstance(name, str) or config.modality_names != [name] or name not in whole.modality_names:
        raise ValueError(
            f"{place}/modality.json names the modality {name!r}, its config.json {config.modality_names}, and the model's "
            f"are {whole.modality_names}; expected one of these in both"
        )
    for key in ("task", "num_outputs"):
        _same(f"{place}/config.json", key, getattr(config, key), "the model's config.json", getattr(whole, key))


class _Values:
    """A JSON object of a file, and where in the file it stands."""

    def __init__(self, file: str, values: Any, where: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(f"{file}: {where or 'it'} is {cut(values)}; expected an object with named values")
        self.file, self.values, self.where = file, values, where

    def need(self, key: str, test: Test, what: str, hashable: bool = False) -> Any:
        """A value that must be there."""
        name = f"{self.where}.{key}" if self.where else key
        if key not in self.values:
            raise ValueError(f"{self.file}: {name} is missing; expected {what}")
        value = self.values[key]
        if (hashable and not isinstance(value, str)) or not test(value):
            raise ValueError(f"{self.file}: {name} is {cut(value)}; expected {what}")
        return value

    def may(self, key: str, test: Test, what: str, hashable: bool = False) -> None:
        """A value that may be left out."""
        if key in self.values:
            self.need(key, test, what, hashable)


def _same(file: str, key: str, value: Any, other: str, theirs: Any) -> None:
    if value != theirs:
        raise ValueError(f"{file} and {other} disagree: {key} is {cut(value)} in the one and {cut(theirs)} in the other")


def _check_counts(file: str, value: Any, where: str = "") -> None:
    """Refuse whole numbers that no width or count can be, at any depth."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else ((f"[{i}]", v) for i, v in enumerate(value))
        for key, inside in pairs:
            _check_counts(file, inside, f"{where}.{key}".strip("."))
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{file}: {where} is {cut(value)}; expected a smaller number")


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_new_name(known: list[str]) -> Test:
    return lambda value: _is_name(value) and value not in known


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < LARGEST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and bool(value > 0)


def _is_share(value: Any) -> bool:
    return _is_number(value) and bool(0 <= value < 1)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_rates(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_share, value.values()))


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)
