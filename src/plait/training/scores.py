"""What chooses the epoch: numbers on validation rows, by the kind of output a task has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.registry import Registry
from plait.training.plan import Plan

EpochScore = Callable[[Plan, PlaitModel, RowBatches], dict[str, float]]
EPOCH_SCORES: Registry[EpochScore] = Registry("epoch score of output kind")
EPOCH_SCORES.expect("embeddings", "plait.training.embeddings")
EPOCH_SCORES.expect("text", "plait.training.text_scores")


def label_score(plan: Plan, model: PlaitModel, val: RowBatches) -> dict[str, float]:
    """The task's metrics on validation rows and their mean loss; "score" selects, unless it cannot be measured."""
    logits_NC = predict_logits(model, val)
    outputs = plan.task.activate(logits_NC, plan.labels)
    metrics = plan.task.metrics(plan.task.natural(plan.target[plan.val], plan.labels), outputs)
    numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
    chosen = plan.task.selecting(numbers)
    return numbers | {"loss": _mean_loss(plan, logits_NC)} | ({} if chosen is None else {"score": chosen})


for kind in ("classes", "labels", "number"):
    EPOCH_SCORES.add(kind, label_score)


def validation_loss(plan: Plan, model: PlaitModel) -> float:
    """Mean loss of the task over the validation rows, each counting alike, which is finer than a metric of answers."""
    columns = [[m.name for m in plan.inputs.modalities].index(n) for n in model.config.modality_names]
    sources = {n: plan.prepared.sources[n] for n in model.config.modality_names}
    return _mean_loss(
        plan, predict_logits(model, RowBatches(sources, plan.prepared.rows.index_NM[plan.val][:, columns]))
    )


def _mean_loss(plan: Plan, logits_NC: np.ndarray) -> float:
    return float(plan.task.loss(torch.from_numpy(logits_NC), torch.from_numpy(plan.target[plan.val]), None).mean())
