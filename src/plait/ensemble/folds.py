"""Rows dealt into folds: of each fold a plan whose validation rows are what its models have not seen."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from plait.training.plan import Plan


def fold_plans(plan: Plan, num_folds: int) -> list[Plan]:
    """One plan a fold; rows of a group stay in one fold, classes are spread evenly. One fold: the plan itself."""
    if num_folds < 2:
        return [plan]
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    rows = np.sort(np.concatenate([plan.train, plan.val]))
    groups, target = plan.group_N[rows], plan.target[rows]
    seed, count = plan.settings.train.seed, min(num_folds, len(np.unique(groups)))
    if count < 2:
        return [plan]
    options: dict[str, Any] = {"n_splits": count, "shuffle": True, "random_state": seed}
    # the largest class must have a row for every fold, or no class is spread at all
    if plan.task.family.one_class and np.unique(target, return_counts=True)[1].max() >= count:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
            dealt = list(StratifiedGroupKFold(**options).split(rows, target, groups))
    else:
        dealt = list(GroupKFold(**options).split(rows, None, groups))
    return [
        replace(
            plan, train=rows[inside], val=rows[outside],
            settings=replace(plan.settings, train=replace(plan.settings.train, seed=seed + fold)),
        )
        for fold, (inside, outside) in enumerate(dealt)
    ]  # fmt: skip
