"""Which transform of a numeric target suits a table: told by linear models on validation rows, before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plait.ensemble.fit import fold_plans, natural_target, row_features
from plait.ensemble.linear import fit_linear
from plait.ensemble.scale import SCALES
from plait.tasks.regression import number_state
from plait.tasks.target_scale import TargetScale, transforms_for
from plait.training.plan import Plan

LEAST_GAIN = 0.02  # of the squared error: below it the number is learned as it is


def choose_transform(plan: Plan, num_folds: int) -> tuple[Plan, str]:
    """The plan with the target learned as suits it, and the name of the transform.

    Args:
        plan: Of a numeric target, learned as it is.
        num_folds: As in ``fit_ensemble``.
    """
    if plan.task.output_kind != "number" or len(plan.val) == 0:
        return plan, "none"
    scale = SCALES.get("number")
    losses: dict[str, list[float]] = {}
    for part in fold_plans(plan, num_folds):
        plain, train, val = row_features(part)
        if not plain:
            return plan, "none"
        uses, names = tuple(plain), tuple(plan.inputs.modalities[m].name for m in plain)
        for transform in transforms_for(natural_target(plan)[np.concatenate([plan.train, plan.val])]):
            fitted = [
                fit_linear(train, val, (m,), (name,), 1, scale, transforms=(transform,))
                for m, name in zip(uses, names, strict=True)
            ]
            known = [one.loss for one in fitted if one is not None]
            if known:
                losses.setdefault(transform, []).append(min(known))
    if "none" not in losses:
        return plan, "none"
    mean = {name: float(np.mean(values)) for name, values in losses.items() if len(values) == len(losses["none"])}
    best = min(mean, key=lambda name: mean[name])
    if mean[best] > (1 - LEAST_GAIN) * mean["none"]:
        return plan, "none"
    return with_transform(plan, best), best


def with_transform(plan: Plan, transform: str) -> Plan:
    """The plan with its target learned so."""
    target = natural_target(plan).reshape(-1)
    labels = number_state(TargetScale.fit(target[plan.train], transform))
    return replace(plan, labels=labels, target=plan.task.encode(list(target), labels))
