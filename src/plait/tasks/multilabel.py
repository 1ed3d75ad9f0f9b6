"""Multilabel: any number of labels a row, a sigmoid and binary cross-entropy each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.metrics.intervals import Resampled
from plait.metrics.label import multilabel_metrics
from plait.metrics.resampled import multilabel_resampled
from plait.tasks.base import TASKS, Task
from plait.tasks.decisions import EVEN, label_decisions
from plait.tasks.labels import LabelState, label_names, natural_order
from plait.tasks.row_metrics import RowMetrics
from plait.tasks.soft_loss import effective_number, soft_label_loss

SMALLEST = 1e-7  # of a probability, in a logarithm


def _fit_label_set(values: list[Any]) -> LabelState:
    names = sorted({name for labels in values for name in labels}, key=natural_order)
    if not names:
        raise ValueError("no training row carries any label; multilabel needs at least one. Check target=")
    return LabelState(classes=tuple(names))


def _encode_label_set(values: list[Any], state: LabelState) -> np.ndarray:
    place = state.place
    coded = np.zeros((len(values), len(state.classes)), dtype=np.float32)
    for row, names in enumerate(values):
        for name in names:
            if name in place:
                coded[row, place[name]] = 1.0
    return coded


def _label_set_loss(logits_BC: Tensor, target_BC: Tensor, weight_C: Tensor | None) -> Tensor:
    loss_BC = functional.binary_cross_entropy_with_logits(logits_BC, target_BC, pos_weight=weight_C, reduction="none")
    return loss_BC.mean(1)


def _sigmoid(logits: np.ndarray, state: LabelState) -> np.ndarray:
    return torch.sigmoid(torch.from_numpy(logits).double()).numpy()


def _log_odds(proba: np.ndarray, state: LabelState) -> np.ndarray:
    inside = np.clip(proba, SMALLEST, 1.0 - SMALLEST)
    found: np.ndarray = np.log(inside) - np.log1p(-inside)
    return found


def _decode_label_set(proba: np.ndarray, state: LabelState) -> list[Any]:
    return [[state.classes[i] for i in np.flatnonzero(row)] for row in label_decisions(proba, state.thresholds)]


def _label_set_metrics(target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()) -> dict[str, Any]:
    return multilabel_metrics(target, proba, threshold=thresholds or EVEN)


def _label_sets_resampled(target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()) -> Resampled:
    return multilabel_resampled(target, proba, threshold=thresholds or EVEN)


def _negatives_over_positives(target: np.ndarray, num_outputs: int) -> list[float]:
    positives = target.sum(0).clip(min=1)
    return [float(w) for w in (len(target) - positives) / positives]


def _by_effective_number(target: np.ndarray, num_outputs: int, beta: float) -> list[float]:
    positives = target.sum(0)
    ratio = effective_number(len(target) - positives, beta) / effective_number(positives, beta)
    return [float(w) for w in ratio]


METRICS = RowMetrics(_label_set_metrics, _label_sets_resampled)

TASKS.add(
    "multilabel",
    Task(
        "multilabel", label_names, "a list of labels ([] where there is none)", _fit_label_set, _encode_label_set,
        _label_set_loss, _sigmoid, _decode_label_set, METRICS, "mAP", True, output_kind="labels", filler=(),
        class_weights=_negatives_over_positives, balanced_metric="f1_macro", inverse=_log_odds,
        metrics_at=METRICS, loss_with=soft_label_loss, balance=_by_effective_number,
    ),
)  # fmt: skip
