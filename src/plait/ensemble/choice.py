"""The choice of what answers each pattern of what is there, on rows that members have not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.ensemble.averaging import Average, settle
from plait.ensemble.base import SIMPLICITY, Member, MemberFacts
from plait.ensemble.features import natural_target
from plait.ensemble.held_out import HeldOut
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import Pattern, rows_of_pattern, select_steadily
from plait.training.plan import Plan

MOST_CELLS = 100_000_000  # outputs of all members on the choosing rows


@dataclass
class Candidate:
    """A member to be: one model a fold, and what is told of it."""

    members: list[Member]
    facts: MemberFacts


def choosing_rows(plans: list[Plan], found: list[Candidate], patterns: list[Pattern]) -> list[np.ndarray]:
    """Of each fold the rows that choose: all that it holds out, or so many of them that their outputs fit in memory."""
    first = plans[0]
    alike = sum(2 ** len(c.facts.uses) if len(c.facts.uses) < 5 else len(patterns) for c in found)
    most = max(200, MOST_CELLS // max(1, alike * first.labels.num_outputs) // len(plans))
    rng = np.random.default_rng(first.settings.train.seed)
    return [p.val if len(p.val) <= most else np.sort(rng.choice(p.val, most, replace=False)) for p in plans]


def choose_averages(
    plan: Plan, found: list[Candidate], answers: HeldOut, patterns: list[Pattern], progress: Progress | None
) -> list[Average]:
    """What answers each pattern, on the choosing rows.

    A pattern is chosen for by the rows that have all of it, where there are enough, as those are the rows it answers.
    A member that reads nothing of a pattern has no weight under it. Weights are those of the
    proper loss whatever metric the user named (``task.select_by``; docs/decisions/0034-metric-that-chooses.md).
    """
    seed = plan.settings.train.seed
    simplicity = np.array([SIMPLICITY[c.facts.kind] * 100 + len(c.facts.uses) for c in found])
    chosen = []
    for number, pattern in enumerate(patterns):
        able = np.array(answers.candidates(pattern))
        at = rows_of_pattern(answers.present_NM, pattern)
        rows = answers.rows[at]
        if len(rows) == 0:
            some = Average(np.full(len(able), 1 / len(able)), 1.0, 0)
        else:
            outputs, losses = np.stack([answers.of(k, pattern)[at] for k in able]), row_losses(plan, rows)
            weights = select_steadily(outputs, losses, simplicity[able], plan.group_N[rows], seed)
            order = np.argsort(simplicity[able], kind="stable")
            some = settle(weights, outputs, losses, SCALES.get(plan.task.output_kind), order, plan.group_N[rows])
        weights_K = np.zeros(len(found))
        weights_K[able] = some.weights
        chosen.append(Average(weights_K, some.temperature, int(able[some.best])))
        if progress is not None:
            progress(number + 1, len(patterns), "choosing members")
    return chosen


def row_losses(plan: Plan, rows: np.ndarray) -> Callable[..., np.ndarray]:
    """From outputs of rows (all of them, or those at some places) to the task's proper loss of each [N]."""
    scale, target = SCALES.get(plan.task.output_kind), natural_target(plan)[rows]
    weight = row_weights(plan, target)

    def losses(given: np.ndarray, at: Any = slice(None)) -> np.ndarray:
        return np.asarray(scale.loss(given, target[at]) * weight[at] / weight.mean())

    return losses


def row_weights(plan: Plan, target: np.ndarray) -> np.ndarray:
    """Weight of each row in the loss: that of its class where training weighs classes."""
    if plan.settings.task.class_weights and plan.task.family.one_class and plan.task.class_weights is not None:
        weights = plan.task.class_weights(plan.target[plan.train], plan.labels.num_outputs)
        return np.asarray(weights)[target.astype(np.int64)]
    return np.ones(len(target))


def measured(plan: Plan, found: list[Candidate], answers: HeldOut, everything: Pattern) -> list[Candidate]:
    """Candidates with their primary metric on the rows that chose, everything shown."""
    target, primary = natural_target(plan)[answers.rows], plan.task.primary
    values = [
        plan.task.metrics(target, answers.of(k, everything).astype(np.float64)).get(primary) for k in range(len(found))
    ]
    return [
        replace(one, facts=replace(one.facts, validation=None if value is None else float(value)))
        for one, value in zip(found, values, strict=True)
    ]
