"""One frozen record a task: how a target is read, the loss, how outputs are decoded, what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.metrics.label import classification_metrics, multilabel_metrics, regression_metrics
from plait.registry import Registry
from plait.settings import RunSettings
from plait.tasks.labels import LabelState, class_name, label_names, match_flag, number


@dataclass(frozen=True)
class Task:
    """What a task is.

    Attributes:
        name: Its name.
        parse: A target cell to its plain value, or None when it cannot be read.
        expects: What a readable target looks like, for messages.
        fit: Plain values of the training rows to the label state.
        encode: Plain values and state to an array, [N] or [N, C].
        loss: Logits, encoded targets and optional class weights to a loss per row [B].
        activate: Logits [N, C] to probabilities [N, C], or to predicted numbers [N, 1].
        decode: Activated outputs and state to one prediction per row.
        metrics: Encoded targets and activated outputs to named numbers.
        primary: The metric that selects the epoch and heads the report.
        higher_is_better: Direction of that metric.
        modalities: How many modalities it needs exactly, or None.
        output_kind: What the outputs are: "classes", "labels", "number", "text" or "embeddings"; it chooses how epochs
            are scored and rows judged.
        fit_with: Used in place of ``fit`` where the label state depends on settings.
        also: Further metrics of decoded predictions and plain values, where they can be had.
        needs_image: Whether an image column must be among the inputs.
        needs_target: Whether rows need a target column.
        has_baselines: Whether a modality alone can do the task, so that one model a modality is trained beside.
        variant: Name it is registered under, where that is not its name: classification with ordered classes is
            "ordinal".
        selects: Metric that chooses the epoch on validation; None: the primary one. Higher must be better for both.
    """

    name: str
    parse: Callable[[object], Any]
    expects: str
    fit: Callable[[list[Any]], LabelState]
    encode: Callable[[list[Any], LabelState], np.ndarray]
    loss: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    activate: Callable[[np.ndarray, LabelState], np.ndarray]
    decode: Callable[[np.ndarray, LabelState], list[Any]]
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, Any]]
    primary: str
    higher_is_better: bool
    modalities: int | None = None
    output_kind: str = "classes"
    selects: str | None = None
    fit_with: Callable[[list[Any], RunSettings], LabelState] | None = None
    also: Callable[[list[Any], list[Any]], dict[str, Any]] | None = None
    needs_image: bool = False
    needs_target: bool = True
    has_baselines: bool = True
    variant: str | None = None

    @property
    def record(self) -> str:
        """The name it is registered under."""
        return self.variant or self.name

    def labels_of(self, values: list[Any], settings: RunSettings) -> LabelState:
        """The label state of training rows, under resolved settings."""
        return self.fit(values) if self.fit_with is None else self.fit_with(values, settings)


TASKS: Registry[Task] = Registry("task")


def _fit_classes(values: list[Any]) -> LabelState:
    names = sorted(set(values), key=_natural)
    if len(names) < 2:
        raise ValueError(
            f"the training rows hold {len(names)} class{'' if len(names) == 1 else 'es'} "
            f"({', '.join(names) or 'none'}); classification needs at least two. Check --target and the split"
        )
    return LabelState(classes=tuple(names))


def _natural(name: str) -> tuple[int, float, str]:
    value = number(name)
    return (1, 0.0, name) if value is None else (0, value, name)


def _fit_label_set(values: list[Any]) -> LabelState:
    names = sorted({name for labels in values for name in labels}, key=_natural)
    if not names:
        raise ValueError("no training row carries any label; multilabel needs at least one. Check --target")
    return LabelState(classes=tuple(names))


def _fit_number(values: list[Any]) -> LabelState:
    array = np.asarray(values, dtype=np.float64)
    std = float(array.std())
    return LabelState(mean=float(array.mean()), std=std if std > 0 else 1.0)


def _encode_classes(values: list[Any], state: LabelState) -> np.ndarray:
    place = {name: i for i, name in enumerate(state.classes)}
    return np.array([place.get(v, -1) for v in values], dtype=np.int64)


def _encode_label_set(values: list[Any], state: LabelState) -> np.ndarray:
    place = {name: i for i, name in enumerate(state.classes)}
    coded = np.zeros((len(values), len(state.classes)), dtype=np.float32)
    for row, names in enumerate(values):
        for name in names:
            if name in place:
                coded[row, place[name]] = 1.0
    return coded


def _encode_number(values: list[Any], state: LabelState) -> np.ndarray:
    return ((np.asarray(values, dtype=np.float64) - state.mean) / state.std).astype(np.float32)


def _class_loss(logits_BC: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    return functional.cross_entropy(logits_BC, target_B, weight=weight_C, reduction="none")


def _label_set_loss(logits_BC: Tensor, target_BC: Tensor, weight_C: Tensor | None) -> Tensor:
    loss_BC = functional.binary_cross_entropy_with_logits(logits_BC, target_BC, pos_weight=weight_C, reduction="none")
    return loss_BC.mean(1)


def _number_loss(logits_B1: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    return functional.mse_loss(logits_B1.squeeze(1), target_B, reduction="none")


def _softmax(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()


def _sigmoid(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return torch.sigmoid(torch.from_numpy(logits).double()).numpy()


def _unscale(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return logits.astype(np.float64) * state.std + state.mean


def _decode_classes(proba: np.ndarray, state: LabelState) -> list[Any]:
    return [state.classes[i] for i in proba.argmax(1)]


def _decode_label_set(proba: np.ndarray, state: LabelState) -> list[Any]:
    return [[state.classes[i] for i in np.flatnonzero(row >= 0.5)] for row in proba]


def _decode_number(values: np.ndarray, state: LabelState) -> list[Any]:
    return [float(v) for v in values[:, 0]]


def _class_metrics(target: np.ndarray, proba: np.ndarray) -> dict[str, Any]:
    return classification_metrics(target, proba)


def _label_set_metrics(target: np.ndarray, proba: np.ndarray) -> dict[str, Any]:
    return multilabel_metrics(target, proba)


def _number_metrics(target: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    return regression_metrics(target, values.reshape(-1))


def _encode_nothing(values: list[Any], state: LabelState) -> np.ndarray:
    return np.zeros(len(values), dtype=np.float32)


def _no_row_loss(outputs_BC: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    raise ValueError("retrieval has no loss of a single row; its head (towers) compares the rows of a batch")


def _cosine_itself(outputs: np.ndarray, state: LabelState) -> np.ndarray:
    return outputs.astype(np.float64)


def _decode_cosine(outputs: np.ndarray, state: LabelState) -> list[Any]:
    return [None if np.isnan(v) else float(v) for v in outputs[:, 0]]


def _no_row_metrics(target: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    raise ValueError("retrieval is judged by ranking a gallery, not row by row")


TASKS.add(
    "classification",
    Task(
        "classification", class_name, "a class name", _fit_classes, _encode_classes, _class_loss, _softmax,
        _decode_classes, _class_metrics, "accuracy", True,
    ),
)  # fmt: skip
TASKS.add(
    "multilabel",
    Task(
        "multilabel", label_names, "a list of labels", _fit_label_set, _encode_label_set, _label_set_loss,
        _sigmoid, _decode_label_set, _label_set_metrics, "mAP", True, output_kind="labels",
    ),
)  # fmt: skip
TASKS.add(
    "regression",
    Task(
        "regression", number, "a number", _fit_number, _encode_number, _number_loss, _unscale, _decode_number,
        _number_metrics, "r2", True, output_kind="number",
    ),
)  # fmt: skip
TASKS.add(
    "matching",
    Task(
        "matching", match_flag, "1 or 0 (true or false, yes or no)",
        lambda values: LabelState(classes=("0", "1")), _encode_classes, _class_loss, _softmax,
        _decode_classes, _class_metrics, "accuracy", True, modalities=2, selects="auroc",
    ),
)  # fmt: skip
TASKS.add(
    "retrieval",
    Task(
        "retrieval", lambda cell: 0.0, "two sides that belong together", lambda values: LabelState(), _encode_nothing,
        _no_row_loss, _cosine_itself, _decode_cosine, _no_row_metrics, "mean_hit_rate", True,
        output_kind="embeddings", needs_target=False, has_baselines=False,
    ),
)  # fmt: skip
