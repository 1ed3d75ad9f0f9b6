"""From a teacher's answers to pseudo-labels with weights, for the rows of a plan."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from plait.ensemble.features import TableFeatures
from plait.ensemble.folds import fold_plans
from plait.ensemble.linear import RowFeatures
from plait.ensemble.scale import SCALES
from plait.ensemble.teachers.base import TEACHERS, Fits, Lesson, Taught, most_rows
from plait.ensemble.teachers.threshold import calibrated_threshold, confidence, fitted_temperature, rightness
from plait.settings import UnlabelledSettings
from plait.training.plan import Plan
from plait.training.unlabelled.rows import Label, PseudoLabels

FOLDS, FOLDS_OF_MANY, MANY = 5, 3, 3000


def check_teacher(plan: Plan, features: TableFeatures, method: str) -> None:
    """Refuse a teacher that cannot read the columns.

    Raises:
        ValueError: Too few modalities have features before training; the message says what to type.
    """
    needed = TEACHERS.get(method).modalities
    if len(features.plain) >= needed:
        return
    other = "" if needed == 1 or not features.plain else "type semi='self_training', or "
    need = "a modality" if needed == 1 else f"{needed} modalities"
    raise ValueError(
        f"semi={method!r} teaches from stored features of {need} at least (frozen encoders, numbers and categories), "
        f"and there {'is' if len(features.plain) == 1 else 'are'} {len(features.plain) or 'none'}; {other}"
        "type semi='noisy_student', which needs no features before training"
    )


def trainings_of(method: str | None, rounds: int) -> float:
    """What a teacher takes, in trainings of the network of the run; 0 for one that takes seconds, and without one."""
    networks = TEACHERS.get(method).networks if method in TEACHERS else None
    return 0.0 if networks is None else networks(FOLDS, rounds)


def teacher_of(
    plan: Plan, features: TableFeatures, positions: np.ndarray, settings: UnlabelledSettings,
    fits: Fits | None = None,
) -> Label:  # fmt: skip
    """A teacher: from training rows, the only labels that it sees, to pseudo-labels of the unlabelled rows.

    Args:
        plan: Of the run.
        features: Of all rows of its table.
        positions: Of the unlabelled rows.
        settings: Which teacher, and how sure it must be.
        fits: Trains networks for a teacher that is made of them; None: there is no need of any.
    """

    def label(train: np.ndarray) -> PseudoLabels:
        lesson = _lesson(plan, features, positions, settings, train, fits)
        taught = None if lesson is None else TEACHERS.get(str(settings.method)).teach(lesson)
        if lesson is None or taught is None:
            target = plan.target[positions]
            why = f"{len(train)} training rows are too few for a teacher that is checked on rows it has not seen"
            if lesson is not None and lesson.stops():
                why = "the time was over before the teachers were done"
            return PseudoLabels(target, np.zeros(len(positions)), {"why": why, "threshold": None})
        return _pseudo_labels(plan, lesson, taught)

    return label


def _pseudo_labels(plan: Plan, lesson: Lesson, taught: Taught) -> PseudoLabels:
    return _of_numbers(plan, lesson, taught) if lesson.scale.link == "identity" else _of_classes(lesson, taught)


def _lesson(
    plan: Plan, features: TableFeatures, positions: np.ndarray, settings: UnlabelledSettings, train: np.ndarray,
    fits: Fits | None,
) -> Lesson | None:  # fmt: skip
    """What the teacher may look at; None where the rows cannot be dealt into folds."""
    seed = plan.settings.train.seed
    is_linear = TEACHERS.get(str(settings.method)).modalities > 0
    rows_of = partial(_rows if is_linear else _rows_alone, features)
    most = most_rows(rows_of(train, features.target[train]), plan.labels.num_outputs)
    if len(train) > most:
        train = np.sort(np.random.default_rng(seed).choice(train, most, replace=False))
    own = replace(plan, train=train, val=train[:0])
    plans = fold_plans(own, FOLDS_OF_MANY if len(train) > MANY else FOLDS)
    if len(plans) < 2:
        return None
    place = {int(row): i for i, row in enumerate(train)}
    folds = [tuple(np.array([place[int(r)] for r in rows]) for rows in (p.train, p.val)) for p in plans]
    lesson = Lesson(
        rows_of(train, features.target[train]), rows_of(positions, np.zeros_like(features.target[positions])),
        [(inside, outside) for inside, outside in folds],
        {m: plan.inputs.modalities[m].name for m in features.plain}, plan.labels.num_outputs,
        SCALES.get(plan.task.output_kind), plan.task.family.one_class, settings, seed,
        stops=plan.deadline.stops("teacher of unlabelled rows"),
    )  # fmt: skip

    def network(
        inside: np.ndarray, asked: np.ndarray, taught: Taught | None, number: int, count: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        assert fits is not None
        given = None if taught is None else _pseudo_labels(plan, lesson, taught)
        if given is not None and not given.weight_U.any():
            return None
        return fits(train[inside], train[asked], given, number, count)

    return replace(lesson, network=network)


def _rows(features: TableFeatures, rows: np.ndarray, target: np.ndarray) -> RowFeatures:
    return RowFeatures({m: part[rows] for m, part in features.parts.items()}, features.present_NM[rows], target)


def _rows_alone(features: TableFeatures, rows: np.ndarray, target: np.ndarray) -> RowFeatures:
    """Without features, which a network has no use for."""
    return RowFeatures({}, features.present_NM[rows], target)


def _of_classes(lesson: Lesson, taught: Taught) -> PseudoLabels:
    """Answers that are sure enough, or all of them, weighted by how sure they are."""
    seen = ~np.isnan(taught.held_out_TC).any(1)
    there = ~np.isnan(taught.outputs_UC).any(1)
    known, target = taught.held_out_TC[seen], lesson.labelled.target[seen]
    temperature = fitted_temperature(known, target, lesson.scale)
    known = lesson.scale.temper(known, np.full((len(known), 1), temperature))
    outputs = np.where(there[:, None], taught.outputs_UC, 1.0 / lesson.num_outputs)
    outputs = lesson.scale.temper(outputs, np.full((len(outputs), 1), temperature))
    made = outputs.argmax(1) if lesson.one_class else (outputs > 0.5).astype(np.float32)
    sure_T, right_T = confidence(known, lesson.one_class), rightness(known, target, lesson.one_class)
    sure_U = np.where(there, confidence(outputs, lesson.one_class), 0.0)
    facts = {**taught.facts, "held_out_accuracy": float(right_T.mean())}
    if TEACHERS.get(str(lesson.settings.method)).all_teach and lesson.settings.threshold is None:
        facts |= {"threshold": None, "held_out_rows": len(known)} | _of_no_use(lesson, known, target)
        return PseudoLabels(made, np.zeros(len(made)) if "why" in facts else sure_U / (sure_U.mean() or 1.0), facts)
    threshold = lesson.settings.threshold or calibrated_threshold(sure_T, right_T, lesson.settings.precision)
    chosen = sure_U >= threshold if threshold is not None else np.zeros(len(there), dtype=bool)
    is_above = sure_T >= threshold if threshold is not None else np.zeros(len(sure_T), dtype=bool)
    facts |= {
        "threshold": threshold, "wanted": lesson.settings.precision, "held_out_rows": int(is_above.sum()),
        "held_out_precision": float(right_T[is_above].mean()) if is_above.any() else None,
    }  # fmt: skip
    if threshold is not None and not chosen.any():
        facts["why"] = f"none of the {len(there):,} unlabelled rows is answered as surely as {threshold:.3f}"
    if threshold is None:
        facts["why"] = (
            f"no threshold makes {lesson.settings.precision:.0%} of the pseudo-labels right on labelled rows that the "
            f"teacher had not seen ({right_T.mean():.0%} of all are)"
        )
    return PseudoLabels(made, np.where(chosen, sure_U, 0.0), facts)


def _of_no_use(lesson: Lesson, known: np.ndarray, target: np.ndarray) -> dict[str, str]:
    """Why a teacher teaches nothing: its log loss on rows it had not seen is not surely below that of the shares."""
    shares = lesson.scale.constant(target, np.ones(len(target)), lesson.num_outputs)
    gap = lesson.scale.loss(np.tile(shares, (len(target), 1)), target) - lesson.scale.loss(known, target)
    if len(gap) and gap.mean() > gap.std() / np.sqrt(len(gap)):
        return {}
    return {"why": "the teacher is no better than the shares of the classes on labelled rows that it had not seen"}


def _of_numbers(plan: Plan, lesson: Lesson, taught: Taught) -> PseudoLabels:
    """Numbers as the network learns them, each with the weight R^2 that the teacher has on rows it had not seen."""
    seen = ~np.isnan(taught.held_out_TC).any(1)
    there = ~np.isnan(taught.outputs_UC).any(1)
    target = lesson.labelled.target[seen].reshape(-1)
    error = float(((taught.held_out_TC[seen, 0] - target) ** 2).sum())
    spread = float(((target - target.mean()) ** 2).sum())
    r2 = max(0.0, 1.0 - error / spread) if spread > 0 else 0.0
    facts: dict[str, Any] = {**taught.facts, "threshold": None, "held_out_r2": r2}
    if r2 == 0.0:
        facts["why"] = "the teacher is no better than the mean on labelled rows that it had not seen"
    assert plan.task.inverse is not None
    outputs = np.where(there[:, None], taught.outputs_UC, target.mean())
    encoded = np.asarray(plan.task.inverse(outputs, plan.labels))[:, 0].astype(plan.target.dtype)
    return PseudoLabels(encoded, np.where(there, r2, 0.0), facts)
