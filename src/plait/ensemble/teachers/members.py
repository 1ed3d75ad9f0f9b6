"""Linear members of an ensemble that learn from pseudo-labels beside training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.ensemble.features import TableFeatures
from plait.ensemble.linear import FittedLinear, Folds, RowFeatures, fit_linear
from plait.ensemble.scale import SCALES
from plait.ensemble.teachers.base import both, most_rows, shared_weight
from plait.training.plan import Plan
from plait.training.unlabelled.rows import UnlabelledRows

TAUGHT = "unlabelled rows"  # of the details of a member: how many taught it
LOSSES = "held-out loss with and without them"


def teaching_rows(plans: Sequence[Plan], features: TableFeatures, rows: UnlabelledRows) -> list[RowFeatures]:
    """Of each fold the unlabelled rows with the pseudo-labels that its training rows give; of many a sample.

    Args:
        plans: One a fold.
        features: Of the plan's table.
        rows: With a teacher.
    """
    found = []
    for plan in plans:
        given = rows.pseudo_labels(plan.train)
        chosen = np.flatnonzero(given.weight_U > 0)
        most = most_rows(_rows(features, plan.train[:1], given.target[:1]), plan.labels.num_outputs)
        if len(chosen) > most:
            rng = np.random.default_rng(plan.settings.train.seed)
            chosen = np.sort(rng.choice(chosen, most, replace=False))
        made = _rows(features, rows.positions[chosen], given.target[chosen])
        made.weight_N = shared_weight(given.weight_U[chosen], len(plan.train))
        found.append(made)
    return found


def better_taught(
    plain: FittedLinear, folds: Folds, taught: Sequence[RowFeatures], plan: Plan, uses: tuple[int, ...],
    names: tuple[str, ...],
) -> FittedLinear:  # fmt: skip
    """The linear model that learned from pseudo-labels too, where it answers held-out rows at a smaller loss.

    Args:
        plain: What learned from labels alone.
        folds: Its training and validation rows.
        taught: Unlabelled rows of each fold.
        plan: Of the run.
        uses: Numbers of its modalities.
        names: Their names.
    """
    if not all(len(rows.target) for rows in taught):
        return plain
    pairs = [(both(train, more), val) for (train, val), more in zip(folds, taught, strict=True)]
    scale, stops = SCALES.get(plan.task.output_kind), plan.deadline.stops("linear models taught by unlabelled rows")
    made = fit_linear(pairs, uses, names, plan.labels.num_outputs, scale, stops=stops, like=plain)
    if made is None or made.loss >= plain.loss:
        return plain
    told: dict[str, Any] = {
        TAUGHT: max(len(rows.target) for rows in taught), LOSSES: [round(made.loss, 4), round(plain.loss, 4)]
    }  # fmt: skip
    made.details |= told
    return made


def _rows(features: TableFeatures, rows: np.ndarray, target: np.ndarray) -> RowFeatures:
    return RowFeatures({m: part[rows] for m, part in features.parts.items()}, features.present_NM[rows], target)
