"""What a run makes of its rows without a target: the rows of a plan, the guarded training, and what the report says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from plait.api.opening import OpenedRun
from plait.api.preparing import PreparedRun
from plait.ensemble.base import FUSED
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.features import TableFeatures
from plait.ensemble.guard import SEMI, SUPERVISED, guarded
from plait.ensemble.networks import NetworkFits
from plait.ensemble.teachers import StudentFits, check_teacher, teacher_of
from plait.ensemble.teachers.members import LOSSES, TAUGHT
from plait.fusion import CosineFusion
from plait.fusion.canonical import FEWEST_ALONE
from plait.model import PlaitModel
from plait.objectives import chosen_objectives
from plait.registry import counted
from plait.settings.unlabelled import NO_METHOD, TEACHERS, TRANSPORT
from plait.training.build import fixed_widths
from plait.training.plan import Plan
from plait.training.unlabelled.rows import UnlabelledRows
from plait.training.unlabelled.term import check_strong_view

MUCH_WORSE = 0.1  # share of right pseudo-labels below what was wanted, from which it is warned


def learn_unlabelled(
    opened: OpenedRun, ready: PreparedRun, plan: Plan, networks: NetworkFits, features: TableFeatures | None,
    num_folds: int,
) -> tuple[Plan, dict[str, Any] | None, UnlabelledRows | None]:  # fmt: skip
    """Train with and without unlabelled rows and keep the better.

    Returns the plan to go on with, what is told, and the rows that other members may learn from: those of a teacher
    of classes or label sets (linear members would learn numbers from a linear model, which adds nothing).

    Args:
        opened: The run.
        ready: Its rows.
        plan: Without unlabelled rows, its fusion and transform chosen.
        networks: Of the run.
        features: Of its rows, where they are known already.
        num_folds: Of the ensemble.

    Raises:
        ValueError: The method has nothing to work on.
    """
    part, settings = opened.unlabelled, plan.settings.semi
    if part is None or settings.method == NO_METHOD:  # they were read for pretraining alone
        return plan, None, None
    rows = _rows(opened, ready, plan)
    if settings.method == TRANSPORT:
        check_transport(plan)
        return replace(plan, unlabelled=rows), _told(opened, rows, {}), None
    if settings.method in TEACHERS:
        features = features or TableFeatures(plan)
        check_teacher(plan, features, str(settings.method))
        fits = StudentFits(plan, rows, networks.folder / "teachers", networks.progress)
        rows.label = teacher_of(plan, features, rows.positions, settings, fits)
    check_strong_view(plan, rows)
    found = guarded(plan, networks, rows, num_folds)
    told = _told(opened, rows, {"kept": found.kept, **found.facts})
    opened.notes.append(f"unlabelled rows ({settings.method}): {found.facts['guard']['sentence']}")
    teaches = rows.label is not None and plan.task.output_kind != "number" and "collapsed" not in told
    return found.plan, told, rows if teaches else None


def tell_of_members(told: dict[str, Any] | None, ensemble: Ensemble | None) -> None:
    """Add to what is told who else learned from unlabelled rows, and what the network that did weighs in the answer."""
    if told is None or ensemble is None:
        return
    taught = {one.name: one.details[LOSSES] for one in ensemble.facts if TAUGHT in one.details}
    if taught:
        told["members"] = taught
        told["sentences"] += [
            f"{name} learned from unlabelled rows too: log loss {ours:.3f} with them, {theirs:.3f} without, on "
            "held-out rows"
            for name, (ours, theirs) in taught.items()
        ]
    if told["kept"] == SEMI:
        networks = [k for k, one in enumerate(ensemble.facts) if one.name.startswith(FUSED)]
        told["weight"] = round(float(ensemble.weights_PK[0, networks].sum()), 4)
        told["sentences"].append(
            f"in the answer to rows that have every modality the network that they taught weighs {told['weight']:.0%}"
            if told["weight"]
            else "the network that they taught has no weight in the answer to rows that have every modality: other "
            "members answer validation rows better without it"
        )


def _told(opened: OpenedRun, rows: UnlabelledRows, facts: dict[str, Any]) -> dict[str, Any]:
    """What the report says of the unlabelled rows."""
    part = opened.unlabelled
    assert part is not None
    own = int((part.positions < len(opened.table) - opened.added).sum())
    told = {
        "method": rows.settings.method, "rows": len(rows.positions), "own": own, "second": len(rows.positions) - own,
        "source": part.source, "left_out": part.left_out, **facts,
    }  # fmt: skip
    return {**told, "sentences": sentences_of(told)}


def check_transport(plan: Plan) -> None:
    """Refuse rows without a pair where no canonical towers learn from them.

    Raises:
        ValueError: More or less than two modalities, an encoder that is trained, or towers of the user's own.
    """
    names = [m.name for m in plan.inputs.modalities]
    widths = zip(names, fixed_widths(plan.inputs, names), strict=True)
    trained = [name for name, width in widths if width is None]
    if trained:
        raise ValueError(
            f"semi='transport' teaches canonical towers of frozen encoders, and that of {trained[0]!r} is trained; "
            "leave unlabelled= and semi= out, or the settings of encoders"
        )
    aids = chosen_objectives(plan.settings.train, pair_head=False)
    if len(names) != 2 or aids or not plan.settings.fusion.options.get("canonical"):
        raise ValueError(
            "semi='transport' teaches the canonical towers of two modalities (fusion.options canonical, without "
            "further objectives), which this model has not; leave unlabelled= and semi= out, or the fusion's settings"
        )


def say_transport(told: dict[str, Any], model: PlaitModel, notes: list[str]) -> None:
    """Add to what is told whether sides that stand alone taught: held-out pairs chose."""
    assert isinstance(model.fusion, CosineFusion) and model.fusion.canonical is not None
    towers = model.fusion.canonical
    told["kept"] = SEMI if towers.alone_helps else SUPERVISED
    left, right = (counted(int(n), "side") for n in towers.alone_N)
    if not towers.is_fitted:
        sentence = "there are no canonical towers to teach, as the training pairs are too few or too alike"
    elif int(towers.alone_N.min()) < FEWEST_ALONE:
        sentence = (
            f"{left} of one kind and {right} of the other teach nothing: at least {FEWEST_ALONE} of each are needed"
        )
    elif towers.alone_helps:
        sentence = (
            "held-out training pairs find each other more often with the sides that stand alone: these teach the "
            "canonical towers"
        )
    else:
        sentence = (
            "held-out training pairs do not find each other more often with the sides that stand alone: these are "
            "left out"
        )
    told["guard"] = {"kept": told["kept"], "sentence": sentence}
    notes.append(f"unlabelled rows ({TRANSPORT}): {sentence}")


def sentences_of(told: dict[str, Any]) -> list[str]:
    """What is to be known of the unlabelled rows, for the page and the terminal."""
    found = [f"{counted(told['rows'], 'row')} without a target could teach, by {told['method']}"]
    for one in told["left_out"]:
        more = " and more" if one["rows"] > len(one["numbers"]) else ""
        found.append(
            f"{counted(one['rows'], 'unlabelled row')} left out: {one['why']} ({', '.join(one['numbers'])}{more})"
        )
    if "pseudo_labelled" in told:
        rows, limit = counted(told["pseudo_labelled"], "row"), told.get("threshold")
        text = f"{rows} got a pseudo-label"
        if limit is not None:
            text = f"{rows} got a pseudo-label at a threshold of {limit:.3f}"
            if told["pseudo_labelled"] == told["rows"]:
                text = f"{rows} got a pseudo-label, every one: the threshold of {limit:.3f} keeps none out"
        found.append(text)
    if told.get("threshold") is None and told.get("held_out_accuracy") is not None and "why" not in told:
        found.append(
            f"each counts by how sure its pseudo-label is, none is cut off; of {counted(told['held_out_rows'], 'row')} "
            f"with a label that the teacher had not seen it answered {told['held_out_accuracy']:.0%} right"
        )
    if told.get("held_out_r2") is not None and "why" not in told:
        found.append(
            f"each counts {told['held_out_r2']:.3f} of a label, the R2 of the teacher on labelled rows it had not seen"
        )
    if told.get("held_out_precision") is not None:
        found.append(
            f"on {counted(told['held_out_rows'], 'labelled row')} above it that the teacher had not seen, "
            f"{told['held_out_precision']:.0%} of its answers were right ({told['wanted']:.0%} wanted)"
        )
    if "precision" in told:
        found.append(
            f"where the target of a pseudo-labelled row is known, {told['precision']:.0%} are right "
            f"({counted(told['known'], 'row')})"
        )
        if told["precision"] < told.get("wanted", told.get("held_out_accuracy", 0.0)) - MUCH_WORSE:
            found.append(
                "WARNING: many more pseudo-labels are wrong than labelled rows let expect: the unlabelled rows differ "
                "from them, or the teacher believes its own mistakes"
            )
    if "mae" in told:
        found.append(f"where the target is known, pseudo-labels are off by {told['mae']:.3g} on average")
    if "collapsed" in told:
        one = told["collapsed"]
        found.append(
            f"WARNING: pseudo-labels collapse on one class: {one['share']:.0%} are {one['class']}, of the labelled "
            f"rows {one['labelled_share']:.0%}"
        )
    return found


def trained_rows(ready: PreparedRun, told: dict[str, Any] | None, pretraining: dict[str, Any] | None) -> np.ndarray:
    """Positions of the unlabelled rows that trained, or pretrained, what is kept."""
    is_kept = (told is not None and (told["kept"] == SEMI or "members" in told)) or (
        pretraining is not None and pretraining["kept"]
    )
    return ready.unlabelled if is_kept else ready.unlabelled[:0]


def _rows(opened: OpenedRun, ready: PreparedRun, plan: Plan) -> UnlabelledRows:
    """The unlabelled rows with the targets that some have all the same, which are compared and never learned."""
    assert opened.unlabelled is not None
    truth = opened.unlabelled.truth
    values = [truth.get(int(i)) for i in ready.unlabelled]
    known = np.array([value is not None for value in values], dtype=bool)
    encoded = plan.task.encode_all(values, plan.labels)
    if plan.task.family.one_class and (foreign := known & (encoded < 0)).any():
        known &= ~foreign
        opened.notes.append(
            f"targets of {counted(int(foreign.sum()), 'unlabelled row')} are no class of the training rows; "
            "pseudo-labels are not compared with them"
        )
    return UnlabelledRows(ready.unlabelled, plan.settings.semi, encoded, known)
