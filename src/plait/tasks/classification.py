"""Classification: one of several classes, softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.metrics.intervals import Resampled
from plait.metrics.label import classification_metrics
from plait.metrics.resampled import classification_resampled
from plait.registry import counted
from plait.tasks.base import TASKS, Task
from plait.tasks.decisions import class_decisions
from plait.tasks.labels import LabelState, class_name, natural_order
from plait.tasks.row_metrics import RowMetrics
from plait.tasks.soft_loss import effective_number, soft_class_loss

SMALLEST = 1e-7  # of a probability, in a logarithm


def _fit_classes(values: list[Any]) -> LabelState:
    names = sorted(set(values), key=natural_order)
    if len(names) < 2:
        raise ValueError(
            f"the training rows hold {counted(len(names), 'class', 'classes')} "
            f"({', '.join(names) or 'none'}); classification needs at least two. Check target= and the split"
        )
    return LabelState(classes=tuple(names))


def _encode_classes(values: list[Any], state: LabelState) -> np.ndarray:
    return np.array([state.place.get(v, -1) for v in values], dtype=np.int64)


def _class_loss(logits_BC: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    return functional.cross_entropy(logits_BC, target_B, weight=weight_C, reduction="none")


def _softmax(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()


def log_probabilities(proba: np.ndarray, state: LabelState) -> np.ndarray:
    """Logits whose softmax the probabilities are; the smallest probability is 1e-7."""
    found: np.ndarray = np.log(np.clip(proba, SMALLEST, 1.0))
    return found


def _decode_classes(proba: np.ndarray, state: LabelState) -> list[Any]:
    return [state.classes[i] for i in class_decisions(proba, state.thresholds)]


def class_metrics(target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()) -> dict[str, Any]:
    """Classification metrics in which a class that training did not have (-1) is one more, never predicted."""
    target, proba, guess = _with_unknown(target, proba, thresholds)
    return classification_metrics(target, proba, guess=guess)


def class_metrics_resampled(
    target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()
) -> Resampled:  # fmt: skip
    """``class_metrics`` on resamples of the rows."""
    return classification_resampled(*_with_unknown(target, proba, thresholds))


def _with_unknown(
    target: np.ndarray, proba: np.ndarray, thresholds: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, probabilities and decisions, with a class more where there are rows of one that is unknown (-1)."""
    guess = class_decisions(proba, thresholds)
    if (target < 0).any():
        proba = np.hstack([proba, np.zeros((len(proba), 1))])
        target = np.where(target < 0, proba.shape[1] - 1, target)
    return target, proba, guess


def _inverse_frequency(target: np.ndarray, num_outputs: int) -> list[float]:
    """Inverse class frequency, mean 1."""
    counts = np.bincount(target, minlength=num_outputs).clip(min=1)
    return [float(w) for w in len(target) / (len(counts) * counts)]


def _by_effective_number(target: np.ndarray, num_outputs: int, beta: float) -> list[float]:
    """Inverse effective number of rows of each class, mean 1."""
    weights = 1.0 / effective_number(np.bincount(target, minlength=num_outputs), beta)
    return [float(w) for w in weights * num_outputs / weights.sum()]


CLASS_METRICS = RowMetrics(class_metrics, class_metrics_resampled)

TASKS.add(
    "classification",
    Task(
        "classification", class_name, "a class name", _fit_classes, _encode_classes, _class_loss, _softmax,
        _decode_classes, CLASS_METRICS, "accuracy", True, class_weights=_inverse_frequency, stratum=str,
        balanced_metric="f1_macro", inverse=log_probabilities, metrics_at=CLASS_METRICS,
        loss_with=soft_class_loss, balance=_by_effective_number,
    ),
)  # fmt: skip
