"""The mean of a number that was learned transformed: what squared error asks for; a network by itself gives the median.

A network that learns g(y) by squared errors answers the mean of g(y); taken back, that is about the median of y, which
for a skewed target lies below its mean. Duan's smearing estimate takes every residual back with it and averages:

    E[y | x] = 1/N sum_i g^-1(f(x) + e_i),        e_i = g(y_i) - f(x_i)

Residuals are those of validation rows, which the network has not learned from; of training rows where these are few.
An ensemble is chosen by squared error, so its answers are means as they are; asked for medians, they are moved by the
median residual of the rows that chose it.

Reference: Duan 1983 (Smearing Estimate: A Nonparametric Retransformation Method).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plait.ensemble import Ensemble
from plait.ensemble.judged import answers_of
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.settings import RunSettings
from plait.tasks import LabelState
from plait.training import Plan

FEWEST = 30  # validation rows whose residuals stand for all


def check_predicted(settings: RunSettings, output_kind: str) -> None:
    """Refuse a choice between mean and median where there is none.

    Raises:
        ValueError: The message names the setting.
    """
    asked = settings.task.predict
    if asked is None:
        return
    if output_kind != "number":
        raise ValueError(f"task.predict={asked} is for a numeric target; leave it out")
    if asked == "median" and settings.task.transform == "none":
        raise ValueError(
            "task.predict=median needs a target that is learned transformed; type set=['task.transform=log'] too, or "
            "'task.transform=quantile'"
        )


def answer_mean(
    plan: Plan, model: PlaitModel, ensemble: Ensemble | None, num_folds: int, labels: LabelState
) -> tuple[LabelState, list[str]]:
    """The label state whose answers are means or medians as asked, and which they are.

    Args:
        plan: Of a number, its target as it was learned.
        model: The trained network.
        ensemble: What answers in its place, or None.
        num_folds: As that was fitted with.
        labels: Its label state.
    """
    if plan.task.output_kind != "number" or labels.scale is None:
        return labels, []
    wants_median = plan.settings.task.predict == "median"
    if ensemble is not None and wants_median and labels.scale.transform == "none":
        return labels, ["predictions are means, not medians: the target is best learned as it is (task.transform=auto)"]
    if ensemble is not None:  # its members and weights were chosen by squared error
        if not wants_median:
            return labels, []
        outputs, rows = answers_of(plan, ensemble, num_folds)
        residual_N = plan.target[rows].reshape(-1) - labels.scale.without_correction().encode(outputs.reshape(-1))
        told = f"predictions are medians by the residuals of {len(rows):,} held-out rows (task.predict=median)"
        return replace(labels, scale=labels.scale.with_residuals(np.median(residual_N, keepdims=True))), [told]
    if wants_median:
        return labels, ["predictions are medians (task.predict=median): the target was learned transformed"]
    rows = plan.val if len(plan.val) >= FEWEST else plan.train
    batches = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[rows])
    residual_N = plan.target[rows].reshape(-1) - predict_logits(model, batches).reshape(-1)
    of = "validation" if rows is plan.val else "training"
    told = f"predictions are means: medians corrected by the residuals of {len(rows):,} {of} rows (task.predict=median)"
    return replace(labels, scale=labels.scale.with_residuals(np.asarray(residual_N))), [told]
