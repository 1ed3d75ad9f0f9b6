"""What a task keeps about its target: the class names, or the mean and standard deviation of a number; JSON on disk."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from plait.data.values import read_number, spelling
from plait.heads.language.tokens import AnswerTokens
from plait.tasks.target_scale import TargetScale

TRUE_WORDS = {"1", "true", "yes", "match", "1.0"}
FALSE_WORDS = {"0", "false", "no", "mismatch", "0.0"}


@dataclass(frozen=True)
class LabelState:
    """What must be known of the target to encode and decode it.

    Attributes:
        classes: Class or label names in output order; empty for a number.
        mean: Mean of a numeric target over the training rows.
        std: Standard deviation of it, 1 where it is constant.
        scale: How a number is learned, where it is not as it is.
        tokens: How text answers are cut into tokens; None where answers are not generated.
        thresholds: From which probability on the second of two classes, or each label, is answered, or by what the
            probabilities of more classes are divided before the largest is taken; empty: .5, or the likeliest.
        alone: The same of each modality's own model, by name.
        language: Description of the language model that writes them; None likewise.
        prior: What is answered without any input, from the training rows: the share of each class or label, or the mean
            of a number; empty where there is none (text), and of models that were saved before it was kept.
    """

    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    scale: TargetScale | None = None
    tokens: AnswerTokens | None = None
    language: dict[str, Any] | None = None
    thresholds: tuple[float, ...] = ()
    alone: dict[str, tuple[float, ...]] = field(default_factory=dict)
    prior: tuple[float, ...] = ()

    @cached_property
    def place(self) -> dict[str, int]:
        """Output of each class by the spelling in which cells are compared (:func:`plait.data.values.spelling`)."""
        made: dict[str, int] = {}
        for number, name in enumerate(self.classes):
            made.setdefault(spelling(name) or name, number)
        return made

    @property
    def num_outputs(self) -> int:
        """Width of the head's output."""
        return max(1, len(self.classes))

    @property
    def as_learned(self) -> LabelState:
        """The same without what was found after training: residuals, by which a number's answers are corrected."""
        return self if self.scale is None else replace(self, scale=replace(self.scale, residuals=()))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        plain: dict[str, Any] = {"classes": list(self.classes), "mean": self.mean, "std": self.std}
        if self.scale is not None:
            plain["scale"] = self.scale.to_json()
        if self.thresholds:
            plain["thresholds"] = list(self.thresholds)
        if self.alone:
            plain["thresholds_alone"] = {name: list(values) for name, values in self.alone.items()}
        if self.prior:
            plain["prior"] = list(self.prior)
        if self.tokens is not None:
            plain |= {"tokens": self.tokens.to_json(), "language": self.language}
        return plain

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> LabelState:
        """From plain values."""
        tokens, scale = values.get("tokens"), values.get("scale")
        return cls(
            tuple(values["classes"]), float(values["mean"]), float(values["std"]),
            None if scale is None else TargetScale.from_json(scale),
            None if tokens is None else AnswerTokens.from_json(tokens), values.get("language"),
            tuple(float(v) for v in values.get("thresholds", ())),
            {name: tuple(map(float, found)) for name, found in values.get("thresholds_alone", {}).items()},
            tuple(float(v) for v in values.get("prior", ())),
        )  # fmt: skip


def class_name(value: object) -> str | None:
    """One spelling per class: 1, 1.0 and "1" are the same class; None and blank text are no class."""
    return spelling(value)


def label_names(value: object) -> tuple[str, ...] | None:
    """The set of labels in a multilabel cell: a list, a JSON list, or names between ``;`` or ``|``.

    An empty list, ``[]`` as text too, is an answer: no label. An empty cell is none, and neither is blank text; a text
    table that means "no label" writes ``[]``.

    Example:
        >>> label_names("b;a"), label_names([]), label_names("[]"), label_names(" "), label_names(float("nan"))
        (('a', 'b'), (), (), None, None)
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                value = json.loads(text)
            except ValueError:
                value = _python_list(text)
        else:
            value = [p for p in text.replace("|", ";").split(";") if p.strip()]
    if isinstance(value, list | tuple | set | np.ndarray):
        return tuple(sorted({n for n in (class_name(v) for v in value) if n is not None}))
    name = class_name(value)
    return None if name is None else (name,)


def _python_list(text: str) -> list[Any]:
    """A list as Python writes it, which is what pandas writes into a CSV; else what stands between the commas."""
    try:
        value = ast.literal_eval(text)
        if isinstance(value, list):
            return value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    return [p.strip(" '\"") for p in text.strip("[]").split(",") if p.strip(" '\"")]


def number(value: object) -> float | None:
    """A finite number, or None; text with a decimal point (a column with decimal commas is read as a whole before)."""
    return read_number(value)


def match_flag(value: object) -> str | None:
    """The class "1" (they match) or "0" of a matching target, in any usual spelling."""
    name = class_name(value)
    if name is None:
        return None
    if name.lower() in TRUE_WORDS:
        return "1"
    return "0" if name.lower() in FALSE_WORDS else None


def natural_order(name: str) -> tuple[int, float, str]:
    """A sorting key: names that are numbers by their value, then the others by their letters."""
    value = number(name)
    return (1, 0.0, name) if value is None else (0, value, name)
