"""Fitting an ensemble around trained networks: members that are cheap to fit, and the choice among all of them.

Members learn from training rows; validation rows choose their penalties and which members answer which pattern of what
is there. Test rows are never seen here.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from plait.data.progress import Progress
from plait.ensemble.base import SIMPLICITY, Bag, Member, MemberFacts, megabytes_of
from plait.ensemble.ensemble import Ensemble, Pattern
from plait.ensemble.linear import RowFeatures, fit_linear
from plait.ensemble.network import NetworkMember
from plait.ensemble.networks import STAGES
from plait.ensemble.ngrams import fit_ngrams
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import patterns_of, select_steadily
from plait.ensemble.trees import fit_trees
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches, SetSource
from plait.inputs.feature_store import FeatureSet
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import add_ngrams, texts_of
from plait.model import PlaitModel
from plait.processors.ngrams import NgramProcessor
from plait.training.plan import Plan

ROWS_AT_ONCE = 1024
MOST_CELLS = 100_000_000  # outputs of all members on the choosing rows under one pattern
MOST_LINEAR_ROWS = 10_000
MOST_WEIGHTS = 20_000_000  # of a linear model

OTHERS = ("linear", "ngrams", "trees")
Networks = Callable[[Plan, int, str], dict[str, tuple[PlaitModel, float]]]


@dataclass
class Candidate:
    """A member to be: one model a fold, and what is told of it."""

    members: list[Member]
    facts: MemberFacts


def fit_ensemble(
    plan: Plan, networks: Networks, *, members: Sequence[str] = OTHERS, num_folds: int = 1,
    progress: Progress | None = None,
) -> Ensemble | None:  # fmt: skip
    """Fit members and choose among all.

    Args:
        plan: What was trained on what.
        networks: From a plan, the number of a fold and a stage (``STAGES``) to trained networks by the name to show,
            with the seconds each took.
        members: Kinds of members beside the networks: "linear", "ngrams" and "trees".
        num_folds: 1: members learn from the training rows, and the validation rows choose. More: training and
            validation rows are dealt into so many folds, each member is one model a fold, and every row chooses by the
            answer of the model that has not seen it.
        progress: Called with (done, total, what).

    Returns:
        The ensemble; None where answers of this task cannot be averaged or no row is left to choose by.
    """
    if not can_average(plan):
        return None
    everything = [m.name for m in plan.inputs.modalities]
    plans = fold_plans(plan, num_folds)
    made: dict[str, list[Candidate]] = {}
    for stage in STAGES:
        for fold, part in enumerate(plans):
            found = _of_networks(part, everything, networks(part, fold, stage))
            if stage == STAGES[0]:
                if fold == 0:
                    plans = _folds_in_time(plans, found)
                found += _fit_others(part, everything, members, progress)
            for one in found:
                made.setdefault(one.facts.name, []).append(one)
            if fold + 1 == len(plans):
                break
    found = [_joined(ones) for ones in made.values() if len(ones) == len(plans)]
    patterns = patterns_of(len(everything), plan.prepared.rows.present_NM[plan.val])
    weights_PK, best_P = choose_weights(plans, found, patterns, progress)
    found = _measured(plans, found)
    return Ensemble(
        [one.members[0] if len(plans) == 1 else Bag(one.members) for one in found], [one.facts for one in found],
        everything, patterns, weights_PK, best_P, plan.task, plan.labels,
    )  # fmt: skip


def _measured(plans: list[Plan], found: list[Candidate]) -> list[Candidate]:
    """Candidates with their primary metric on the rows that chose, everything shown."""
    first = plans[0]
    target, primary = natural_target(first), first.task.primary
    everything = tuple([True] * len(first.inputs.modalities))
    rows = [p.val for p in plans]
    outputs = held_out_outputs(plans, found, rows, everything)
    held = target[np.concatenate(rows)]
    values = [first.task.metrics(held, outputs[k].astype(np.float64)).get(primary) for k in range(len(found))]
    return [
        replace(one, facts=replace(one.facts, validation=None if value is None else float(value)))
        for one, value in zip(found, values, strict=True)
    ]


def held_out_outputs(plans: list[Plan], found: list[Candidate], rows: list[np.ndarray], pattern: Pattern) -> np.ndarray:
    """Outputs of each candidate [K, N, C], on each fold's rows by the model of that fold."""
    parts = [
        member_outputs(p, [c.members[f] for c in found], r, pattern)
        for f, (p, r) in enumerate(zip(plans, rows, strict=True))
    ]
    return np.concatenate(parts, axis=1)


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


def _folds_in_time(plans: list[Plan], trained: list[Candidate]) -> list[Plan]:
    """As many folds as the time limit leaves room for, by what the network of the first took."""
    seconds = sum(one.facts.seconds for one in trained)
    return plans[: 1 + plans[0].deadline.room_for("further folds", seconds, len(plans) - 1, share=0.4)]


def _of_networks(plan: Plan, everything: list[str], networks: dict[str, tuple[PlaitModel, float]]) -> list[Candidate]:
    found: list[Candidate] = []
    for name, (network, seconds) in networks.items():
        uses = tuple(everything.index(n) for n in network.config.modality_names)
        member = NetworkMember(network, uses, plan.labels)
        details = {"fusion": network.config.fusion["name"]} if len(uses) > 1 else {}
        found.append(_candidate(name, "network", member, everything, seconds, details))
    return found


def _joined(ones: list[Candidate]) -> Candidate:
    """One candidate of those of all folds."""
    if len(ones) == 1:
        return ones[0]
    facts = [one.facts for one in ones]
    details = {"folds": len(ones), **{k: [f.details.get(k) for f in facts] for k in facts[0].details}}
    details = {k: v[0] if isinstance(v, list) and len(set(map(str, v))) == 1 else v for k, v in details.items()}
    first = facts[0]
    told = MemberFacts(
        first.name, first.kind, first.uses, sum(f.seconds for f in facts), sum(f.megabytes for f in facts), details
    )
    return Candidate([m for one in ones for m in one.members], told)


def can_average(plan: Plan) -> bool:
    """Whether the answers of this task can be averaged, and validation rows are there to choose by."""
    task = plan.task
    return task.inverse is not None and task.output_kind in SCALES and not task.judges_pairs and len(plan.val) > 0


def natural_target(plan: Plan) -> np.ndarray:
    """Encoded targets of all rows, numbers in their unit."""
    return np.asarray(plan.task.natural(plan.target, plan.labels))


def _fit_others(
    plan: Plan, everything: list[str], members: Sequence[str], progress: Progress | None
) -> list[Candidate]:
    """Linear models, n-grams and trees, as far as the columns allow."""
    scale, target, outputs = SCALES.get(plan.task.output_kind), natural_target(plan), plan.labels.num_outputs
    plain, train, val = row_features(plan) if "linear" in members else ({}, None, None)
    wanted: list[tuple[str, Callable[[], tuple[Member, dict[str, Any]] | None], str, tuple[int, ...]]] = []

    def linear(uses: tuple[int, ...]) -> Callable[[], tuple[Member, dict[str, Any]] | None]:
        return lambda: _linear(train, val, uses, everything, outputs, plain, scale)

    sets = [(m,) for m in plain] + ([tuple(plain)] if len(plain) > 1 else [])
    for uses in sets:
        assert train is not None
        if sum(train.parts[m].shape[1] for m in uses) * outputs <= MOST_WEIGHTS:
            called = everything[uses[0]] if len(uses) == 1 else "everything"
            wanted.append((f"linear of {called}", linear(uses), "linear", uses))
    for m, modality in enumerate(plan.inputs.modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        if kind.has_words:
            wanted.append((f"n-grams of {modality.name}", _ngrams(plan, m, target, outputs), "ngrams", (m,)))
        if kind.has_columns:
            wanted.append((f"trees of {modality.name}", _trees(plan, m, target, outputs), "trees", (m,)))
    wanted = [one for one in wanted if one[2] in members]
    found = []
    for number, (name, fit, kind_name, uses) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted), f"fitting {name}")
        took = max((one.facts.seconds for one in found if one.facts.kind == kind_name), default=0.0)
        if not plan.deadline.has_room(name, took):
            continue
        started = time.monotonic()
        made = fit()
        plan.deadline.took(name, time.monotonic() - started)
        if made is not None:
            found.append(_candidate(name, kind_name, made[0], everything, time.monotonic() - started, made[1], uses))
    if progress is not None and wanted:
        progress(len(wanted), len(wanted), "fitting members")
    return found


def row_features(plan: Plan) -> tuple[dict[int, Any], RowFeatures, RowFeatures]:
    """How plain features are read, by modality number, and those of training and of validation rows."""
    plain, target = plain_functions(plan), natural_target(plan)
    parts = {m: _plain_features(plan, m, plain[m]) for m in plain}
    rng = np.random.default_rng(plan.settings.train.seed)
    train, val = (
        RowFeatures({m: f[rows] for m, f in parts.items()}, plan.prepared.rows.present_NM[rows], target[rows])
        for rows in (_at_most(plan.train, rng), _at_most(plan.val, rng))
    )
    return plain, train, val


def _at_most(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows, or a sample of so many of them that a linear model is fitted in seconds."""
    return rows if len(rows) <= MOST_LINEAR_ROWS else np.sort(rng.choice(rows, MOST_LINEAR_ROWS, replace=False))


def _linear(train: Any, val: Any, uses: tuple[int, ...], everything: list[str], outputs: int,
            plain: dict[int, Any], scale: Any) -> tuple[Member, dict[str, Any]] | None:  # fmt: skip
    made = fit_linear(train, val, uses, tuple(everything[m] for m in uses), outputs, scale)
    if made is None:
        return None
    made.member.plain = tuple(plain[m] for m in uses)
    return made.member, made.details


def _ngrams(plan: Plan, m: int, target: np.ndarray, outputs: int) -> Callable[[], tuple[Member, dict[str, Any]] | None]:
    def fit() -> tuple[Member, dict[str, Any]] | None:
        modality = plan.inputs.modalities[m]
        items = plan.prepared.rows.items[modality.name]
        texts = texts_of(plan.inputs, plan.prepared, modality)
        train, val = (rows[items.index_N[rows] >= 0] for rows in (plan.train, plan.val))
        if len(train) < 10 or len(val) == 0:
            return None
        known = plan.inputs.ngrams.get(modality.name)
        processor = known or NgramProcessor.fit([texts[i] for i in items.index_N[train]])
        if processor is None or len(processor) * outputs > MOST_WEIGHTS:
            return None
        matrix = processor.matrix(texts)
        made = fit_ngrams(
            matrix[items.index_N[train]], target[train], matrix[items.index_N[val]], target[val], (m,), modality.name,
            outputs, SCALES.get(plan.task.output_kind),
        )  # fmt: skip
        if known is None:
            add_ngrams(plan.inputs, plan.prepared, modality, processor)
        return made

    return fit


def _trees(plan: Plan, m: int, target: np.ndarray, outputs: int) -> Callable[[], tuple[Member, dict[str, Any]] | None]:
    def fit() -> tuple[Member, dict[str, Any]] | None:
        modality = plan.inputs.modalities[m]
        index_N = plan.prepared.rows.items[modality.name].index_N
        train, val = (rows[index_N[rows] >= 0] for rows in (plan.train, plan.val))
        source = plan.prepared.sources[modality.name]
        processor: Any = plan.inputs.processors[modality.name]
        if len(val) == 0:
            return None
        return fit_trees(
            source.take(index_N[train]), target[train], source.take(index_N[val]), target[val], (m,), modality.name,
            tuple(processor.cardinalities), outputs, SCALES.get(plan.task.output_kind), plan.settings.train.seed,
        )  # fmt: skip

    return fit


def _candidate(
    name: str, kind: str, member: Member, everything: list[str], seconds: float, details: dict[str, Any],
    uses: tuple[int, ...] | None = None,
) -> Candidate:  # fmt: skip
    used = tuple(everything[m] for m in (uses or member.uses))
    return Candidate([member], MemberFacts(name, kind, used, seconds, megabytes_of(member), details))


def plain_functions(plan: Plan) -> dict[int, Any]:
    """By modality number: from a batch's tensors to the plain features of a linear model, where there are any."""
    found = {}
    for m, modality in enumerate(plan.inputs.modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        made = kind.plain(plan.inputs.processors[modality.name], modality.name in plan.inputs.frozen)
        if made is not None:
            found[m] = made
    return found


def _plain_features(plan: Plan, m: int, plain: Callable[[Any], torch.Tensor]) -> np.ndarray:
    """Plain features of every row, zeros where the modality is missing [N, D] float32."""
    name = plan.inputs.modalities[m].name
    source = plan.prepared.sources[name]
    if isinstance(source, FeatureSet | SetSource):
        source = source.select(has_tokens=False)
    items = plan.prepared.rows.items[name]
    count = len(items.keys)
    parts = [
        plain(source.take(np.arange(start, min(start + ROWS_AT_ONCE, count)))).float().cpu().numpy()
        for start in range(0, count, ROWS_AT_ONCE)
    ]
    known = np.concatenate(parts) if parts else plain(source.take(np.array([-1]))).float().cpu().numpy()
    index_N = items.index_N
    found: np.ndarray = np.where((index_N >= 0)[:, None], known[np.maximum(index_N, 0)], 0.0).astype(np.float32)
    return found


def choose_weights(
    plans: list[Plan], found: list[Candidate], patterns: list[Pattern], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the members under each pattern [P, K] and the best member of each [P], on the rows folds hold out."""
    first = plans[0]
    scale, target = SCALES.get(first.task.output_kind), natural_target(first)
    rng = np.random.default_rng(first.settings.train.seed)
    most = max(200, MOST_CELLS // max(1, len(found) * first.labels.num_outputs) // len(plans))
    rows = [p.val if len(p.val) <= most else np.sort(rng.choice(p.val, most, replace=False)) for p in plans]
    simplicity = [SIMPLICITY[c.facts.kind] * 100 + len(c.facts.uses) for c in found]
    weights, best = [], []
    for number, pattern in enumerate(patterns):
        shown = [r[(first.prepared.rows.present_NM[r] & np.array(pattern)).any(1)] for r in rows]
        together = np.concatenate(shown)
        if len(together) == 0:
            weights.append(np.full(len(found), 1 / len(found)))
            best.append(0)
            continue
        outputs = held_out_outputs(plans, found, shown, pattern)
        own, own_weight = target[together], _row_weights(first, target[together])

        def loss(answers: np.ndarray, at: np.ndarray, own: np.ndarray = own, weight: np.ndarray = own_weight) -> float:
            return float((scale.loss(answers, own[at]) * weight[at]).sum() / weight[at].sum())

        seed = first.settings.train.seed
        weights.append(select_steadily(outputs, loss, simplicity, first.group_N[together], seed))
        best.append(int(np.argmin([loss(o, np.arange(len(together))) for o in outputs])))
        if progress is not None:
            progress(number + 1, len(patterns), "choosing members")
    return np.stack(weights), np.array(best, dtype=np.int64)


def _row_weights(plan: Plan, target: np.ndarray) -> np.ndarray:
    """Weight of each row in the loss: that of its class where training weighs classes."""
    if plan.settings.task.class_weights and plan.task.family.one_class and plan.task.class_weights is not None:
        weights = plan.task.class_weights(plan.target[plan.train], plan.labels.num_outputs)
        return np.asarray(weights)[target.astype(np.int64)]
    return np.ones(len(target))


def member_outputs(plan: Plan, members: list[Member], rows: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Outputs of members on rows, with only a pattern's modalities shown [K, N, C] float32."""
    batches = RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[rows])
    found = np.zeros((len(members), len(rows), plan.labels.num_outputs), dtype=np.float32)
    together = nn.ModuleList(members)
    shown = torch.tensor(pattern)
    with evaluation_mode(together):
        for places, batch in evaluation_batches(together, batches, batch_size=ROWS_AT_ONCE):
            present = batch["present"] & shown.to(batch["present"].device)
            for k, member in enumerate(members):
                made = member.prepare(batch["inputs"], batch["present"])
                found[k, places] = member.outputs(batch["inputs"], made, present)
    return found
