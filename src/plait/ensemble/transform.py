"""Which transform of a numeric target suits a table: told by linear models on validation rows, before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plait.ensemble.features import TableFeatures, natural_target
from plait.ensemble.folds import fold_plans
from plait.ensemble.linear import fit_linear
from plait.ensemble.scale import SCALES
from plait.tasks.regression import number_state
from plait.tasks.target_scale import TargetScale, transforms_for
from plait.training.plan import Plan

LEAST_GAIN = 0.02  # of the squared error: below it the number is learned as it is


def choose_transform(plan: Plan, num_folds: int, features: TableFeatures) -> tuple[Plan, str]:
    """The plan with the target learned as suits it, and the name of the transform.

    Args:
        plan: Of a numeric target, learned as it is.
        num_folds: As in ``fit_ensemble``.
        features: Of the plan.
    """
    if plan.task.output_kind != "number" or len(plan.val) == 0 or not features.plain:
        return plan, "none"
    scale, target = SCALES.get("number"), features.target
    folds = [features.of_fold(part) for part in fold_plans(plan, num_folds)]
    losses: dict[str, float] = {}
    for transform in transforms_for(target[np.concatenate([plan.train, plan.val])]):
        fitted = [
            fit_linear(folds, (m,), (plan.inputs.modalities[m].name,), 1, scale, transforms=(transform,))
            for m in features.plain
        ]
        known = [one.loss for one in fitted if one is not None]
        if known:
            losses[transform] = min(known)
    if "none" not in losses:
        return plan, "none"
    best = min(losses, key=lambda name: losses[name])
    if losses[best] > (1 - LEAST_GAIN) * losses["none"]:
        return plan, "none"
    return with_transform(plan, best), best


def with_transform(plan: Plan, transform: str) -> Plan:
    """The plan with its target learned so."""
    target = natural_target(plan).reshape(-1)
    scaled = number_state(TargetScale.fit(target[plan.train], transform))
    labels = replace(scaled, prior=plan.labels.prior)  # the mean of the training rows, in their unit
    return replace(plan, labels=labels, target=plan.task.encode(list(target), labels))
