"""Fitting an ensemble around trained networks: members that are cheap to fit, and the choice among all of them.

Members learn from training rows; validation rows choose their penalties and which members answer which pattern of what
is there. Test rows are never seen here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.ensemble.apart import worse_apart
from plait.ensemble.averaging import Average
from plait.ensemble.base import Bag, Member, MemberFacts, megabytes_of
from plait.ensemble.choice import Candidate, choose_averages, choosing_rows, measured, row_weights
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.features import TableFeatures, natural_target
from plait.ensemble.folds import fold_plans
from plait.ensemble.glm import Stops
from plait.ensemble.held_out import HeldOut, held_out
from plait.ensemble.linear import RowFeatures, fit_linear
from plait.ensemble.network import NetworkMember
from plait.ensemble.networks import STAGES
from plait.ensemble.ngrams import fit_ngrams
from plait.ensemble.prototypes import fit_prototypes
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import Pattern, patterns_of, weights_of_nothing
from plait.ensemble.teachers.members import better_taught, teaching_rows
from plait.ensemble.trees import fit_trees
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitModel
from plait.training.deadline import Deadline
from plait.training.plan import Plan
from plait.training.unlabelled.rows import UnlabelledRows

MOST_WEIGHTS = 20_000_000  # of a linear model
MOST_WORK = 100_000_000  # rows times inputs times outputs of a linear model that takes seconds; more takes minutes
A_TREE_COLUMN = 100  # work of a column of boosted trees, in weights of a linear model

OTHERS = ("linear", "ngrams", "trees")
PROTOTYPES = "prototypes of everything"
QUICK = ("fast", "default")  # presets whose members take seconds
Networks = Callable[[Plan, int, str], dict[str, tuple[PlaitModel, float]]]
Models = tuple[list[Member], dict[str, Any]]  # one a fold, and what was chosen for them


def fit_ensemble(
    plan: Plan, networks: Networks, *, members: Sequence[str] = OTHERS, num_folds: int = 1,
    features: TableFeatures | None = None, progress: Progress | None = None, teaching: UnlabelledRows | None = None,
) -> Ensemble | None:  # fmt: skip
    """Fit members and choose among all.

    Args:
        plan: What was trained on what.
        networks: From a plan, the number of a fold and one of ``STAGES`` to trained networks by the name to show, with
            the seconds each took.
        members: Kinds of members beside the networks: "prototypes", "linear", "ngrams" and "trees".
        num_folds: 1: members learn from the training rows, and the validation rows choose. More: training and
            validation rows are dealt into so many folds, each member is one model a fold, and every row chooses by the
            answer of the model that has not seen it.
        features: Of the plan's rows, where they are known already.
        progress: Called with (done, total, what).
        teaching: Unlabelled rows with a teacher, from whose pseudo-labels linear members learn where held-out rows are
            answered better for it; None: there are none.

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
            features = features or TableFeatures(plan)
            others = _fit_others(plans, features, members, progress, teaching)
    whole = {name: ones for name, ones in trained.items() if len(ones) == len(plans)}
    found = [_of_networks(plan, name, ones) for name, ones in whole.items()] + others
    names = [m.name for m in plan.inputs.modalities]
    patterns = patterns_of(len(names), plan.prepared.rows.present_NM[plan.val])
    rows = choosing_rows(plans, found, patterns)
    answers = held_out(plans, [c.members for c in found], rows, patterns)
    chosen = choose_averages(plan, found, answers, patterns, progress)
    judges, notes = answers.rows, _told_of_work(plan, features, members)
    if len(plans) > 1 and plan.is_val_apart and (worse := worse_apart(plan, found, answers, patterns, chosen)):
        features = features or TableFeatures(plan)
        found, answers = _by_validation_rows_alone(plan, plans, found, features, rows, patterns, teaching)
        chosen = choose_averages(plan, found, answers, patterns, progress)
        judges, notes = answers.rows, [*notes, worse]
    found = measured(plan, found, answers, patterns[0])
    return Ensemble(
        [one.members[0] if len(plans) == 1 else Bag(one.members) for one in found], [one.facts for one in found],
        names, patterns, chosen, plan.task, plan.labels, nothing=_of_nothing(plan), judges=judges, notes=notes,
    )  # fmt: skip


def prototypes_alone(plan: Plan, network: PlaitModel, seconds: float, features: TableFeatures) -> Ensemble | None:
    """Class means that answer without having been chosen, where no validation row is left to choose by.

    The network answers what they cannot read. None where they do not go with the task or the columns.

    Args:
        plan: Of the run.
        network: The trained network.
        seconds: What it took.
        features: Of the plan's rows.
    """
    if plan.task.inverse is None or plan.task.output_kind not in SCALES or plan.task.judges_pairs:
        return None
    found = _fit_others([plan], features, ("prototypes",), None)
    if not found:
        return None
    found = [_of_networks(plan, "fused", [(network, seconds)]), *found]
    names = [m.name for m in plan.inputs.modalities]
    patterns = patterns_of(len(names), plan.prepared.rows.present_NM[plan.train])
    read = found[1].members[0].uses
    chosen = [Average(np.array([0.0, 1.0] if any(p[m] for m in read) else [1.0, 0.0]), 1.0, 1) for p in patterns]
    return Ensemble(
        [one.members[0] for one in found], [one.facts for one in found], names, patterns, chosen, plan.task,
        plan.labels, nothing=_of_nothing(plan),
        notes=["no validation row is left to choose by: class means (prototypes) answer, whatever they are worth"],
    )  # fmt: skip


def _of_nothing(plan: Plan) -> np.ndarray:
    """The answer to a row that has nothing."""
    target, present_NM = natural_target(plan)[plan.train], plan.prepared.rows.present_NM[plan.train]
    weight_N = weights_of_nothing(present_NM) * row_weights(plan, target)
    return SCALES.get(plan.task.output_kind).constant(target, weight_N, plan.labels.num_outputs)


def _by_validation_rows_alone(
    plan: Plan, plans: list[Plan], found: list[Candidate], features: TableFeatures, rows: list[np.ndarray],
    patterns: list[Pattern], teaching: UnlabelledRows | None,
) -> tuple[list[Candidate], HeldOut]:  # fmt: skip
    """The members with penalties that the validation rows chose, and their answers on those rows.

    Only penalties are chosen anew, which takes seconds; networks and trees keep what each fold chose.
    """
    cheap = {c.facts.name: c.facts.seconds for c in found if c.facts.kind in ("linear", "ngrams")}
    if plan.deadline.has_room("penalties by validation rows alone", sum(cheap.values())):
        narrowed = [replace(p, val=p.val[np.isin(p.val, plan.val)], deadline=Deadline()) for p in plans]
        kinds = sorted({c.facts.kind for c in found if c.facts.name in cheap})
        again = {c.facts.name: c for c in _fit_others(narrowed, features, kinds, None, teaching)}
        found = [again.get(c.facts.name, c) if c.facts.name in cheap else c for c in found]
    own = [r[np.isin(r, plan.val)] for r in rows]
    return found, held_out(plans, [c.members for c in found], own, patterns)


def _folds_in_time(plans: list[Plan], seconds: float) -> list[Plan]:
    """As many folds as the time limit leaves room for, by what the networks of the first took."""
    return plans[: 1 + plans[0].deadline.room_for("further folds", seconds, len(plans) - 1, share=0.4)]


def can_average(plan: Plan) -> bool:
    """Whether the answers of this task can be averaged, and validation rows are there to choose by."""
    task = plan.task
    return task.inverse is not None and task.output_kind in SCALES and not task.judges_pairs and len(plan.val) > 0


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
    plans: list[Plan], features: TableFeatures, members: Sequence[str], progress: Progress | None,
    teaching: UnlabelledRows | None = None,
) -> list[Candidate]:  # fmt: skip
    """Linear models, n-grams and trees as far as columns allow; under a time limit what takes least comes first."""
    deadline = plans[0].deadline
    wanted = [one for one in _others(plans, features, members, teaching) if one[1] in members]
    names = [one[0] for one in wanted]
    if deadline.limit is not None:
        wanted.sort(key=lambda one: one[2])
    found: list[Candidate] = []
    for number, (name, kind, _, fit) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted), f"fitting {name}")
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
    return sorted(found, key=lambda one: names.index(one.facts.name))


def _others(
    plans: list[Plan], features: TableFeatures, members: Sequence[str], teaching: UnlabelledRows | None
) -> Iterator[tuple[str, str, float, Callable[[], Models | None]]]:
    """Name, kind, work (only its order means something) and how it is fitted of each member that the columns allow."""
    modalities, outputs = plans[0].inputs.modalities, plans[0].labels.num_outputs
    if "prototypes" in members and features.plain and plans[0].task.family.one_class:
        yield PROTOTYPES, "prototypes", 0, partial(_prototypes, plans, features)
    if "linear" in members and features.plain:
        folds = [features.of_fold(p) for p in plans]
        taught = None if teaching is None else teaching_rows(plans, features, teaching)
        for uses in _sets(features):
            name, weights = _linear_name(plans[0], uses), _num_weights(plans[0], features, uses)
            if weights <= MOST_WEIGHTS and not _takes_minutes(plans[0], features, uses):
                stops = plans[0].deadline.stops(name)
                yield name, "linear", weights, partial(_linear, plans[0], folds, features, uses, stops, taught)
    for m, modality in enumerate(modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        if kind.has_words:
            name = f"n-grams of {modality.name}"
            yield name, "ngrams", MOST_WEIGHTS, partial(_ngrams, plans, features, m, plans[0].deadline.stops(name))
        if kind.has_columns:
            name, columns = f"trees of {modality.name}", len(modality.columns)
            yield (
                name, "trees", columns * outputs * A_TREE_COLUMN,
                partial(_trees, plans, features, m, plans[0].deadline.stops(name)),
            )  # fmt: skip


def _sets(features: TableFeatures) -> list[tuple[int, ...]]:
    """What linear models read: each modality with plain features, and all of them."""
    alone: list[tuple[int, ...]] = [(m,) for m in features.plain]
    return alone + ([tuple(features.plain)] if len(features.plain) > 1 else [])


def _linear_name(plan: Plan, uses: tuple[int, ...]) -> str:
    return f"linear of {plan.inputs.modalities[uses[0]].name if len(uses) == 1 else 'everything'}"


def _num_weights(plan: Plan, features: TableFeatures, uses: tuple[int, ...]) -> int:
    return sum(int(features.parts[m].shape[1]) for m in uses) * plan.labels.num_outputs


def _takes_minutes(plan: Plan, features: TableFeatures, uses: tuple[int, ...]) -> bool:
    """Whether a linear model takes longer than one asks for who does not ask for the best, nor has set a limit."""
    is_quick = plan.settings.preset in QUICK and plan.deadline.limit is None
    return is_quick and len(plan.train) * _num_weights(plan, features, uses) > MOST_WORK


def _told_of_work(plan: Plan, features: TableFeatures | None, members: Sequence[str]) -> list[str]:
    """What is told of linear models that were not fitted because they take minutes."""
    if "linear" not in members or features is None:
        return []
    left = [_linear_name(plan, uses) for uses in _sets(features) if _takes_minutes(plan, features, uses)]
    if not left:
        return []
    return [
        f"left out, because on {len(plan.train):,} rows it takes minutes: {', '.join(left)}; preset=best fits them, as "
        "far as time_limit= allows where that is given"
    ]


def _linear(
    plan: Plan, folds: list[Any], features: TableFeatures, uses: tuple[int, ...], stops: Stops,
    taught: list[RowFeatures] | None,
) -> Models | None:  # fmt: skip
    names = tuple(plan.inputs.modalities[m].name for m in uses)
    made = fit_linear(folds, uses, names, plan.labels.num_outputs, SCALES.get(plan.task.output_kind), stops=stops)
    if made is None:
        return None
    if taught is not None:
        made = better_taught(made, folds, taught, plan, uses, names)
    for member in made.members:
        member.plain = tuple(features.plain[m] for m in uses)
    return list(made.members), made.details


def _prototypes(plans: list[Plan], features: TableFeatures) -> Models | None:
    uses = tuple(features.plain)
    names = tuple(plans[0].inputs.modalities[m].name for m in uses)
    made = [fit_prototypes(features.of_fold(p)[0], uses, names, p.labels.num_outputs) for p in plans]
    if any(one is None for one in made):
        return None
    members: list[Member] = []
    for member, _ in (one for one in made if one is not None):
        member.plain = tuple(features.plain[m] for m in uses)
        members.append(member)
    assert made[0] is not None
    return members, made[0][1]


def _ngrams(plans: list[Plan], features: TableFeatures, m: int, stops: Stops) -> Models | None:
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
    made = fit_ngrams(folds, (m,), modality.name, outputs, SCALES.get(plans[0].task.output_kind), stops)
    features.hand_out(m)
    return list(made[0]), made[1]


def _trees(plans: list[Plan], features: TableFeatures, m: int, stops: Stops) -> Models | None:
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
            plan.settings.train.seed, stops,
        )  # fmt: skip
        if made is None:
            return None
        members.append(made[0])
        details.append(made[1])
    each = {name: [d[name] for d in details] for name in details[0]}
    return members, {name: v[0] if len(set(map(str, v))) == 1 else v for name, v in each.items()}
