"""The guard of learning from unlabelled rows: the supervised network is trained too, and validation rows choose.

Both are of one seed. The better by the metric that chooses epochs is kept; equal ones are told apart by the proper loss
(log loss, squared error) after a temperature of their own; what is equal leaves the supervised network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.ensemble.networks import NetworkFits
from plait.ensemble.scale import SCALES
from plait.ensemble.teachers.labels import trainings_of
from plait.ensemble.teachers.threshold import confidence, fitted_temperature, rightness
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.metrics.intervals import paired_difference
from plait.model import PlaitModel
from plait.registry import counted
from plait.settings import CONSISTENCY
from plait.training.fit import fit_model
from plait.training.history import History
from plait.training.plan import Plan
from plait.training.unlabelled.rows import UnlabelledRows
from plait.training.unlabelled.term import USUAL_THRESHOLD

COLLAPSED = 0.9  # share of one class among pseudo-labels from which it is looked at
FEWEST_LOOKED_AT = 20  # pseudo-labels
BEYOND = 0.25  # and by how much it lies above that among labelled rows
FEWEST_TELLING = 20  # validation rows, below which none is said to tell two networks apart
SUPERVISED, SEMI = "supervised", "with unlabelled rows"


@dataclass
class Guarded:
    """What the guard decided.

    Attributes:
        plan: That of the network that is kept.
        kept: "supervised" or "with unlabelled rows".
        facts: For the report.
    """

    plan: Plan
    kept: str
    facts: dict[str, Any]


def guarded(plan: Plan, networks: NetworkFits, rows: UnlabelledRows, num_folds: int) -> Guarded:
    """Train with and without unlabelled rows, and keep the better.

    Args:
        plan: Without them.
        networks: Of the run; the kept network becomes its fused one where there is one fold.
        rows: The unlabelled rows.
        num_folds: Folds of the ensemble. With more than one the two networks here only choose, and those of the folds
            are trained anew, each with pseudo-labels that know nothing of its held-out rows.
    """
    with_rows = replace(plan, unlabelled=rows)
    trainings = trainings_of(rows.settings.method, rows.settings.rounds)
    if trainings and plan.deadline.limit is not None and len(plan.val):  # the network of labelled rows comes first
        needed = _supervised(plan, networks, num_folds)[1].seconds * (trainings * max(1, num_folds) + 1)
        if not plan.deadline.has_room("networks that teach unlabelled rows", needed):
            why = "no time was left for the networks that teach: the supervised network is kept"
            return Guarded(plan, SUPERVISED, {"guard": _decision(SUPERVISED, why)})
    facts = _pseudo_facts(with_rows, rows)
    if len(plan.val) == 0:
        why = (
            "no validation row is there to compare by: the supervised network is kept; mark some val (split=COLUMN)"
        )  # fmt: skip
        return Guarded(plan, SUPERVISED, {**facts, "guard": _decision(SUPERVISED, why)})
    if facts.get("why"):
        return Guarded(plan, SUPERVISED, {**facts, "guard": _decision(SUPERVISED, f"no row teaches: {facts['why']}")})
    supervised, history = _supervised(plan, networks, num_folds)
    if not plan.deadline.has_room("learning from unlabelled rows", history.seconds):
        why = "no time was left to train with unlabelled rows: the supervised network is kept"
        return Guarded(plan, SUPERVISED, {**facts, "guard": _decision(SUPERVISED, why)})
    names = [m.name for m in plan.inputs.modalities]
    model, other = fit_model(
        with_rows, names, networks.folder / "unlabelled", resume=networks.resume, progress=networks.progress
    )
    if rows.settings.method in CONSISTENCY:
        facts |= _of_network(with_rows, model, rows) | {"epochs": _epochs(other)}
    judged = {SUPERVISED: _judged(plan, supervised), SEMI: _judged(plan, model)}
    scores = {name: one for name, (one, _) in judged.items()}
    kept = SEMI if _is_better(scores[SEMI], scores[SUPERVISED]) else SUPERVISED
    gap = paired_difference(judged[SEMI][1], judged[SUPERVISED][1], plan.group_N[plan.val])
    facts["guard"] = {
        **_decision(kept, _sentence(plan, kept, scores, gap)), "scores": scores, "rows": len(plan.val),
        "difference": dict(zip(("value", "low", "high"), gap, strict=True)),
    }  # fmt: skip
    if kept == SEMI:
        plan.deadline.took("network without unlabelled rows, which is not kept", history.seconds)
    else:
        plan.deadline.took("network with unlabelled rows, which is not kept", other.seconds)
    if kept == SEMI and num_folds == 1:
        networks.model, networks.history = model, other
    return Guarded(with_rows if kept == SEMI else plan, kept, facts)


def _supervised(plan: Plan, networks: NetworkFits, num_folds: int) -> tuple[PlaitModel, History]:
    """The rival, which is the fused network of the run where there is one fold."""
    if num_folds == 1:
        return networks.supervised(plan)
    names = [m.name for m in plan.inputs.modalities]
    return fit_model(
        plan, names, networks.folder / "supervised", resume=networks.resume, progress=networks.progress
    )  # fmt: skip


def _decision(kept: str, sentence: str) -> dict[str, Any]:
    return {"kept": kept, "sentence": sentence}


def _judged(plan: Plan, model: PlaitModel) -> tuple[dict[str, float | str | None], np.ndarray]:
    """The metric that chooses epochs and the loss after a temperature; and that loss of each validation row."""
    index = plan.prepared.rows.index_NM[plan.val]
    logits = predict_logits(model, RowBatches(plan.prepared.sources, index))
    outputs = np.asarray(plan.task.activate(logits, plan.labels), dtype=np.float64)
    target = np.asarray(plan.task.natural(plan.target[plan.val], plan.labels))
    scale = SCALES.get(plan.task.output_kind)
    if scale.link != "identity":
        temperature = fitted_temperature(outputs, target, scale)
        outputs_at = scale.temper(outputs, np.full((len(outputs), 1), temperature))
    else:
        outputs_at = outputs
    metrics = plan.task.metrics(target, outputs)
    name = plan.task.selects or plan.task.primary
    value = metrics.get(name)
    losses = scale.loss(outputs_at, target)
    return {
        "metric": name, "value": None if value is None else float(value),
        "selecting": plan.task.selecting(metrics), "loss": float(losses.mean()),
    }, losses  # fmt: skip


def _is_better(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    first, second = ours["selecting"], theirs["selecting"]
    if first is not None and second is not None and not np.isclose(first, second, rtol=0.0, atol=1e-12):
        return bool(first > second)
    return bool(ours["loss"] < theirs["loss"] - 1e-9)


def _sentence(
    plan: Plan, kept: str, scores: dict[str, dict[str, Any]], gap: tuple[float, float | None, float | None]
) -> str:
    """Which network is kept, by which numbers, and whether these rows tell the networks apart."""
    ours, theirs = scores[SEMI], scores[SUPERVISED]
    name, loss = ours["metric"], "squared error" if plan.task.output_kind == "number" else "log loss"
    values = [_shown(one["value"]) for one in (ours, theirs)]
    told = (
        f"{name} {values[0]} with unlabelled rows, {values[1]} without; {loss} {ours['loss']:.3f} and "
        f"{theirs['loss']:.3f}, on {counted(len(plan.val), 'validation row')}"
    )
    _, low, high = gap
    if low is None or high is None or low <= 0.0 <= high or len(plan.val) < FEWEST_TELLING:
        told += ", which do not tell the two apart"
    if kept == SEMI:
        return f"the network that learned from unlabelled rows is kept: {told}"
    return f"the supervised network is kept, so the unlabelled rows changed nothing in it: {told}"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _pseudo_facts(plan: Plan, rows: UnlabelledRows) -> dict[str, Any]:
    """What a teacher's pseudo-labels are; nothing of a network that teaches itself, which has none yet."""
    if rows.label is None:
        return {}
    given = rows.pseudo_labels(plan.train)
    return {**given.facts, **_counts(plan, rows, given.target, given.weight_U > 0)}


def _of_network(plan: Plan, model: PlaitModel, rows: UnlabelledRows) -> dict[str, Any]:
    """What the trained network says of the unlabelled rows."""
    index = plan.prepared.rows.index_NM[rows.positions]
    logits = predict_logits(model, RowBatches(plan.prepared.sources, index))
    outputs = np.asarray(plan.task.activate(logits, plan.labels))
    one_class = plan.task.family.one_class
    threshold = None
    chosen = np.ones(len(outputs), dtype=bool)
    if rows.settings.method != "mean_teacher":
        threshold = rows.settings.threshold or USUAL_THRESHOLD
        chosen = confidence(outputs, one_class) >= threshold
    target = outputs.argmax(1) if one_class else (outputs > 0.5).astype(np.float32)
    return {"threshold": threshold, **_counts(plan, rows, target, chosen)}


def _counts(plan: Plan, rows: UnlabelledRows, target: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """How many rows got a pseudo-label, of which class, and how many of those with a known target are right."""
    found: dict[str, Any] = {"pseudo_labelled": int(chosen.sum())}
    known = chosen & rows.known_U
    if plan.task.output_kind == "number":
        if known.any():
            truth, given = (np.asarray(plan.task.natural(v[known], plan.labels)) for v in (rows.truth, target))
            found |= {"known": int(known.sum()), "mae": float(np.abs(truth - given).mean())}
        return found
    one_class, classes = plan.task.family.one_class, plan.labels.classes
    own = plan.target[plan.train]
    if one_class:
        counts = np.bincount(target[chosen].astype(np.int64), minlength=len(classes))
        labelled = np.bincount(own.astype(np.int64), minlength=len(classes)) / max(1, len(own))
    else:
        counts, labelled = target[chosen].sum(0), own.mean(0)
    found["classes"] = {str(name): int(n) for name, n in zip(classes, counts, strict=True)}
    if known.any():
        guess = target[known]
        right = guess == rows.truth[known] if one_class else rightness(guess, rows.truth[known], one_class=False)
        found |= {"known": int(known.sum()), "precision": float(np.mean(right))}
    if one_class and chosen.sum() >= FEWEST_LOOKED_AT:
        top = int(counts.argmax())
        share = float(counts[top] / chosen.sum())
        if share >= COLLAPSED and share - labelled[top] >= BEYOND:
            found["collapsed"] = {"class": str(classes[top]), "share": share, "labelled_share": float(labelled[top])}
    return found


def _epochs(history: History) -> list[dict[str, float]]:
    """The monitor epoch by epoch."""
    names = ("epoch", "unlabelled_share", "unlabelled_precision")
    return [{n: e[n] for n in names if n in e} for e in history.epochs]
