"""Fitting an ensemble around trained networks: members that are cheap to fit, and the choice among all of them.

Members learn from training rows; validation rows choose their penalties and which members answer which pattern of what
is there. Test rows are never seen here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.ensemble.averaging import Average, settle
from plait.ensemble.base import SIMPLICITY, Bag, Member, MemberFacts, megabytes_of
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.features import TableFeatures, natural_target
from plait.ensemble.folds import fold_plans
from plait.ensemble.held_out import HeldOut, held_out
from plait.ensemble.linear import fit_linear
from plait.ensemble.network import NetworkMember
from plait.ensemble.networks import STAGES
from plait.ensemble.ngrams import fit_ngrams
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import Pattern, patterns_of, rows_of_pattern, select_steadily
from plait.ensemble.trees import fit_trees
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitModel
from plait.training.plan import Plan

MOST_CELLS = 100_000_000  # outputs of all members on the choosing rows
MOST_WEIGHTS = 20_000_000  # of a linear model

OTHERS = ("linear", "ngrams", "trees")
Networks = Callable[[Plan, int, str], dict[str, tuple[PlaitModel, float]]]
Models = tuple[list[Member], dict[str, Any]]  # one a fold, and what was chosen for them


@dataclass
class Candidate:
    """A member to be: one model a fold, and what is told of it."""

    members: list[Member]
    facts: MemberFacts


def fit_ensemble(
    plan: Plan, networks: Networks, *, members: Sequence[str] = OTHERS, num_folds: int = 1,
    features: TableFeatures | None = None, progress: Progress | None = None,
) -> Ensemble | None:  # fmt: skip
    """Fit members and choose among all.

    Args:
        plan: What was trained on what.
        networks: From a plan, the number of a fold and one of ``STAGES`` to trained networks by the name to show, with
            the seconds each took.
        members: Kinds of members beside the networks: "linear", "ngrams" and "trees".
        num_folds: 1: members learn from the training rows, and the validation rows choose. More: training and
            validation rows are dealt into so many folds, each member is one model a fold, and every row chooses by the
            answer of the model that has not seen it.
        features: Of the plan's rows, where they are known already.
        progress: Called with (done, total, what).

    Returns:
        The ensemble; None where answers of this task cannot be averaged or no row is left to choose by.
    """
    if not can_average(plan):
        return None
    plans = fold_plans(plan, num_folds)
    trained: dict[str, list[tuple[PlaitModel, float]]] = {}
    others: list[Candidate] = []
    for stage in STAGES:
        for fold, part in enumerate(plans):
            now = networks(part, fold, stage)
            for name, one in now.items():
                trained.setdefault(name, []).append(one)
            if stage == STAGES[0] and fold == 0:
                plans = _folds_in_time(plans, sum(seconds for _, seconds in now.values()))
            if fold + 1 == len(plans):
                break
        if stage == STAGES[0]:
            others = _fit_others(plans, features or TableFeatures(plan), members, progress)
    whole = {name: ones for name, ones in trained.items() if len(ones) == len(plans)}
    found = [_of_networks(plan, name, ones) for name, ones in whole.items()] + others
    names = [m.name for m in plan.inputs.modalities]
    patterns = patterns_of(len(names), plan.prepared.rows.present_NM[plan.val])
    answers = held_out(plans, [c.members for c in found], _choosing_rows(plans, found, patterns), patterns)
    chosen = choose_averages(plan, found, answers, patterns, progress)
    found = _measured(plan, found, answers, patterns[0])
    return Ensemble(
        [one.members[0] if len(plans) == 1 else Bag(one.members) for one in found], [one.facts for one in found],
        names, patterns, chosen, plan.task, plan.labels,
    )  # fmt: skip


def _folds_in_time(plans: list[Plan], seconds: float) -> list[Plan]:
    """As many folds as the time limit leaves room for, by what the networks of the first took."""
    return plans[: 1 + plans[0].deadline.room_for("further folds", seconds, len(plans) - 1, share=0.4)]


def can_average(plan: Plan) -> bool:
    """Whether the answers of this task can be averaged, and validation rows are there to choose by."""
    task = plan.task
    return task.inverse is not None and task.output_kind in SCALES and not task.judges_pairs and len(plan.val) > 0


def _choosing_rows(plans: list[Plan], found: list[Candidate], patterns: list[Pattern]) -> list[np.ndarray]:
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
    A member that reads nothing of a pattern has no weight under it.
    """
    scale, target, seed = SCALES.get(plan.task.output_kind), natural_target(plan), plan.settings.train.seed
    simplicity = np.array([SIMPLICITY[c.facts.kind] * 100 + len(c.facts.uses) for c in found])
    chosen = []
    for number, pattern in enumerate(patterns):
        able = np.array(answers.candidates(pattern))
        at = rows_of_pattern(answers.present_NM, pattern)
        rows = answers.rows[at]
        if len(rows) == 0:
            some = Average(np.full(len(able), 1 / len(able)), 1.0, 0)
        else:
            own, own_weight = target[rows], _row_weights(plan, target[rows])

            def losses(
                given: np.ndarray, at: Any = slice(None), own: Any = own, weight: Any = own_weight
            ) -> np.ndarray:
                return np.asarray(scale.loss(given, own[at]) * weight[at] / weight.mean())

            outputs = np.stack([answers.of(k, pattern)[at] for k in able])
            weights = select_steadily(
                outputs, lambda given, at, losses=losses: float(losses(given, at).mean()), simplicity[able],
                plan.group_N[rows], seed,
            )  # fmt: skip
            order = np.argsort(simplicity[able], kind="stable")
            some = settle(weights, outputs, losses, scale, order, plan.group_N[rows])
        weights_K = np.zeros(len(found))
        weights_K[able] = some.weights
        chosen.append(Average(weights_K, some.temperature, int(able[some.best])))
        if progress is not None:
            progress(number + 1, len(patterns), "choosing members")
    return chosen


def _row_weights(plan: Plan, target: np.ndarray) -> np.ndarray:
    """Weight of each row in the loss: that of its class where training weighs classes."""
    if plan.settings.task.class_weights and plan.task.family.one_class and plan.task.class_weights is not None:
        weights = plan.task.class_weights(plan.target[plan.train], plan.labels.num_outputs)
        return np.asarray(weights)[target.astype(np.int64)]
    return np.ones(len(target))


def _measured(plan: Plan, found: list[Candidate], answers: HeldOut, everything: Pattern) -> list[Candidate]:
    """Candidates with their primary metric on the rows that chose, everything shown."""
    target, primary = natural_target(plan)[answers.rows], plan.task.primary
    values = [
        plan.task.metrics(target, answers.of(k, everything).astype(np.float64)).get(primary) for k in range(len(found))
    ]
    return [
        replace(one, facts=replace(one.facts, validation=None if value is None else float(value)))
        for one, value in zip(found, values, strict=True)
    ]


def _of_networks(plan: Plan, name: str, trained: list[tuple[PlaitModel, float]]) -> Candidate:
    """A candidate of one network a fold."""
    everything = [m.name for m in plan.inputs.modalities]
    config = trained[0][0].config
    uses = tuple(everything.index(n) for n in config.modality_names)
    details = {"fusion": config.fusion["name"]} if len(uses) > 1 else {}
    members: list[Member] = [NetworkMember(network, uses, plan.labels) for network, _ in trained]
    return _candidate(plan, name, "network", members, sum(seconds for _, seconds in trained), details)


def _candidate(
    plan: Plan, name: str, kind: str, members: list[Member], seconds: float, details: dict[str, Any]
) -> Candidate:
    used = tuple(plan.inputs.modalities[m].name for m in members[0].uses)
    told = {**({"folds": len(members)} if len(members) > 1 else {}), **details}
    return Candidate(members, MemberFacts(name, kind, used, seconds, sum(map(megabytes_of, members)), told))


def _fit_others(
    plans: list[Plan], features: TableFeatures, members: Sequence[str], progress: Progress | None
) -> list[Candidate]:
    """Linear models, n-grams and trees, as far as the columns allow."""
    wanted = [one for one in _others(plans, features, members) if one[1] in members]
    found = []
    for number, (name, kind, fit) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted), f"fitting {name}")
        deadline = plans[0].deadline
        took = max((one.facts.seconds for one in found if one.facts.kind == kind), default=0.0)
        if not deadline.has_room(name, took):
            continue
        started = time.monotonic()
        made = fit()
        seconds = time.monotonic() - started
        deadline.took(name, seconds)
        if made is not None:
            found.append(_candidate(plans[0], name, kind, made[0], seconds, made[1]))
    if progress is not None and wanted:
        progress(len(wanted), len(wanted), "fitting members")
    return found


def _others(
    plans: list[Plan], features: TableFeatures, members: Sequence[str]
) -> Iterator[tuple[str, str, Callable[[], Models | None]]]:
    """Name, kind and how it is fitted of each member that the columns allow."""
    modalities, outputs = plans[0].inputs.modalities, plans[0].labels.num_outputs
    if "linear" in members and features.plain:
        folds = [features.of_fold(p) for p in plans]
        sets = [(m,) for m in features.plain] + ([tuple(features.plain)] if len(features.plain) > 1 else [])
        for uses in sets:
            if sum(features.parts[m].shape[1] for m in uses) * outputs <= MOST_WEIGHTS:
                called = modalities[uses[0]].name if len(uses) == 1 else "everything"
                yield f"linear of {called}", "linear", lambda uses=uses: _linear(plans[0], folds, features, uses)
    for m, modality in enumerate(modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        if kind.has_words:
            yield f"n-grams of {modality.name}", "ngrams", lambda m=m: _ngrams(plans, features, m)
        if kind.has_columns:
            yield f"trees of {modality.name}", "trees", lambda m=m: _trees(plans, features, m)


def _linear(plan: Plan, folds: list[Any], features: TableFeatures, uses: tuple[int, ...]) -> Models | None:
    names = tuple(plan.inputs.modalities[m].name for m in uses)
    made = fit_linear(folds, uses, names, plan.labels.num_outputs, SCALES.get(plan.task.output_kind))
    if made is None:
        return None
    for member in made.members:
        member.plain = tuple(features.plain[m] for m in uses)
    return list(made.members), made.details


def _ngrams(plans: list[Plan], features: TableFeatures, m: int) -> Models | None:
    modality, outputs = plans[0].inputs.modalities[m], plans[0].labels.num_outputs
    index_N, target = plans[0].prepared.rows.items[modality.name].index_N, features.target
    rows = [tuple(part[index_N[part] >= 0] for part in (p.train, p.val)) for p in plans]
    if any(len(train) < 10 for train, _ in rows) or not any(len(val) for _, val in rows):
        return None
    known = features.ngrams(m, rows[0][0])
    if known is None or len(known[0]) * outputs > MOST_WEIGHTS:
        return None
    folds = [
        (known[1][index_N[train]], target[train], known[1][index_N[val]], target[val]) for train, val in rows
    ]  # fmt: skip
    made = fit_ngrams(folds, (m,), modality.name, outputs, SCALES.get(plans[0].task.output_kind))
    features.hand_out(m)
    return list(made[0]), made[1]


def _trees(plans: list[Plan], features: TableFeatures, m: int) -> Models | None:
    modality, target = plans[0].inputs.modalities[m], features.target
    index_N = plans[0].prepared.rows.items[modality.name].index_N
    source = plans[0].prepared.sources[modality.name]
    processor: Any = plans[0].inputs.processors[modality.name]
    members: list[Member] = []
    details: list[dict[str, Any]] = []
    for plan in plans:
        train, val = (rows[index_N[rows] >= 0] for rows in (plan.train, plan.val))
        made = None if len(val) == 0 else fit_trees(
            source.take(index_N[train]), target[train], source.take(index_N[val]), target[val], (m,), modality.name,
            tuple(processor.cardinalities), plan.labels.num_outputs, SCALES.get(plan.task.output_kind),
            plan.settings.train.seed,
        )  # fmt: skip
        if made is None:
            return None
        members.append(made[0])
        details.append(made[1])
    each = {name: [d[name] for d in details] for name in details[0]}
    return members, {name: v[0] if len(set(map(str, v))) == 1 else v for name, v in each.items()}
