"""Classification of classes that have an order: a loss that knows how far off a guess is, and metrics that say it.

The outputs stay a softmax over C classes, so every fusion and head (late fusions too) works unchanged. That is why
the squared earth mover's distance was chosen and not CORAL (Cao et al. 2020), which needs one shared weight vector and
C - 1 thresholds in place of the head. The distance compares the cumulative probabilities of guess and truth, so a mass
that is two ranks off costs more than one that is one rank off; cross-entropy stays beside it, for where the distance
is flat:

    loss = -log p_y + sum_c (P_c - T_c)^2        P, T cumulative sums of p and of the one-hot truth

Reference: Hou, Yu and Samaras 2016 (Squared Earth Mover's Distance-based Loss), equations 6 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.metrics.intervals import Resampled
from plait.metrics.label import classification_metrics
from plait.metrics.ordinal import ordinal_metrics
from plait.metrics.resampled import classification_resampled, ordinal_resampled
from plait.settings import TaskSettings
from plait.tasks.base import TASKS, Task
from plait.tasks.decisions import class_decisions
from plait.tasks.labels import LabelState
from plait.tasks.order import class_order
from plait.tasks.row_metrics import RowMetrics

ORDINAL = "ordinal"


def ordinal_loss(logits_BC: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    """Cross-entropy plus the squared earth mover's distance, per row [B]; both times the weight of the true class."""
    cross_B = functional.cross_entropy(logits_BC, target_B, reduction="none")
    truth_BC = functional.one_hot(target_B, logits_BC.shape[1]).to(logits_BC.dtype)
    gap_BC = torch.cumsum(torch.softmax(logits_BC, 1), 1) - torch.cumsum(truth_BC, 1)
    loss_B = cross_B + (gap_BC**2).sum(1)
    return loss_B if weight_C is None else loss_B * weight_C[target_B]


def _metrics(target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()) -> dict[str, Any]:
    guess = class_decisions(proba, thresholds)
    plain = classification_metrics(target, proba, guess=guess)
    ordered = ordinal_metrics(target, guess, proba.shape[1])
    return {**plain, **ordered, "notes": [*plain["notes"], *ordered["notes"]]}


def _resampled(target: np.ndarray, proba: np.ndarray, *, thresholds: Sequence[float] = ()) -> Resampled:
    guess = class_decisions(proba, thresholds)
    plain, ordered = classification_resampled(target, proba, guess), ordinal_resampled(target, guess)
    return lambda counts_RN, names: {**plain(counts_RN, names), **ordered(counts_RN, names)}


def _fit(values: list[Any], order: Sequence[str]) -> LabelState:
    plain = TASKS.get("classification").fit(values)
    return LabelState(classes=class_order(plain.classes, order))


def ordinal_task(order: Sequence[str] = ()) -> Task:
    """Classification with ordered classes.

    Args:
        order: The classes, lowest first; empty: derived from their names.
    """
    return replace(TASKS.get(ORDINAL), fit=partial(_fit, order=tuple(order)))


def as_ordered(settings: TaskSettings) -> TaskSettings:
    """The settings with the name "ordinal" spelled out: classification whose classes have an order."""
    if settings.name != ORDINAL:
        return settings
    return replace(settings, name=TASKS.get(ORDINAL).name, ordinal=True)


def task_of(name: str, settings: TaskSettings) -> Task:
    """The record of the task, with ordered classes where the settings say so.

    Raises:
        ValueError: No such task, or ordered classes for a task that has none.
    """
    if not settings.ordinal:
        return TASKS.get(name)
    if name != TASKS.get(ORDINAL).name:
        raise ValueError(
            f"task.ordinal is for classification; the task is {name}. Leave it out, or type task='classification'"
        )
    return ordinal_task(settings.order)


METRICS = RowMetrics(_metrics, _resampled)

TASKS.add(
    ORDINAL,
    replace(
        TASKS.get("classification"), variant=ORDINAL,
        loss=ordinal_loss, metrics=METRICS, metrics_at=METRICS, loss_with=None, needs_known_class=True,
        fit=partial(_fit, order=()),
    ),
)  # fmt: skip
