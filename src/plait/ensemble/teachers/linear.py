"""Linear teachers: one that reads everything and learns from its own answers, and one a modality that teach others.

Every fold has models of its own, which see neither the labels of its held-out rows nor pseudo-labels made with them. A
round is kept only where the log loss on held-out rows falls.

Reference: Scudder 1965 and Lee 2013 (self-training, pseudo-labels); Blum and Mitchell 1998 (co-training, algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.ensemble.linear import RowFeatures, fit_linear
from plait.ensemble.teachers.base import TEACHERS, Lesson, Taught, Teacher, both, rows_of
from plait.ensemble.teachers.threshold import calibrated_threshold, confidence, fitted_temperature, rightness

Uses = tuple[int, ...]


@dataclass
class _View:
    """The models of one set of modalities, a fold each, and what they answer, tempered."""

    held_out_TC: np.ndarray  # noqa: N815  shape letters
    by_fold_KUC: np.ndarray  # noqa: N815
    temperature: float
    threshold: float | None


def self_training(lesson: Lesson) -> Taught | None:
    """A linear model on all modalities."""
    return _taught(lesson, [tuple(lesson.labelled.parts)])


def co_training(lesson: Lesson) -> Taught | None:
    """A linear model on each modality, which learns from the sure answers of the others."""
    return _taught(lesson, [(m,) for m in lesson.labelled.parts])


TEACHERS.add("self_training", Teacher(self_training))
TEACHERS.add("co_training", Teacher(co_training, modalities=2))


def _taught(lesson: Lesson, uses: list[Uses]) -> Taught | None:
    """Rounds of teaching between views; one view teaches itself."""
    folds = len(lesson.folds)
    extra: list[list[RowFeatures | None]] = [[None] * folds for _ in uses]
    best: tuple[float, Taught] | None = None
    rounds = 0 if lesson.scale.link == "identity" else lesson.settings.rounds
    for number in range(rounds + 1):
        views = [_fitted(lesson, one, more) for one, more in zip(uses, extra, strict=True)]
        if any(view is None for view in views):
            break
        known = [view for view in views if view is not None]
        held_out = _mean([v.held_out_TC for v in known])
        seen = ~np.isnan(held_out).any(1)
        loss = float(lesson.scale.loss(held_out[seen], lesson.labelled.target[seen]).mean())
        if best is not None and loss >= best[0]:
            break
        facts = {"rounds": number, "temperature": [round(v.temperature, 3) for v in known]}
        best = loss, Taught(held_out, _mean([v.by_fold_KUC.mean(0) for v in known]), facts)
        if number == rounds:
            break
        extra = [[_lesson_of_others(lesson, known, i, k) for k in range(folds)] for i in range(len(known))]
    return None if best is None else best[1]


def _fitted(lesson: Lesson, uses: Uses, more: list[RowFeatures | None]) -> _View | None:
    """Models of a set of modalities, one a fold, on its labelled rows and those that it was given."""
    pairs = []
    for (inside, outside), given in zip(lesson.folds, more, strict=True):
        train = rows_of(lesson.labelled, inside)
        pairs.append((train if given is None else both(train, given), rows_of(lesson.labelled, outside)))
    names = tuple(lesson.names[m] for m in uses)
    made = fit_linear(pairs, uses, names, lesson.num_outputs, lesson.scale, stops=lesson.stops)
    if made is None:
        return None
    held_out = np.full((len(lesson.labelled.target), lesson.num_outputs), np.nan)
    by_fold = []
    for member, (_, outside) in zip(made.members, lesson.folds, strict=True):
        held_out[outside] = _answers(member, rows_of(lesson.labelled, outside), uses)
        by_fold.append(_answers(member, lesson.unlabelled, uses))
    seen = ~np.isnan(held_out).any(1)
    if not seen.any():
        return None
    target = lesson.labelled.target[seen]
    temperature = 1.0
    if lesson.scale.link != "identity":
        temperature = fitted_temperature(held_out[seen], target, lesson.scale)
        held_out[seen] = lesson.scale.temper(held_out[seen], np.full((int(seen.sum()), 1), temperature))
        by_fold = [_tempered(lesson, outputs, temperature) for outputs in by_fold]
        sure = confidence(held_out[seen], lesson.one_class)
        right = rightness(held_out[seen], target, lesson.one_class)
        threshold = lesson.settings.threshold or calibrated_threshold(sure, right, lesson.settings.precision)
    else:
        threshold = None
    return _View(held_out, np.stack(by_fold), temperature, threshold)


def _answers(member: object, rows: RowFeatures, uses: Uses) -> np.ndarray:
    """Answers of a linear model [N, C]; NaN where it has nothing to read."""
    there = [rows.present_NM[:, m] for m in uses]
    parts = [rows.parts[m].astype(np.float64) for m in uses]
    outputs: np.ndarray = member.of_features(parts, there)  # type: ignore[attr-defined]
    return np.where(np.any(there, axis=0)[:, None], outputs, np.nan)


def _tempered(lesson: Lesson, outputs_UC: np.ndarray, temperature: float) -> np.ndarray:
    there = ~np.isnan(outputs_UC).any(1)
    made = outputs_UC.copy()
    made[there] = lesson.scale.temper(outputs_UC[there], np.full((int(there.sum()), 1), temperature))
    return made


def _lesson_of_others(lesson: Lesson, views: list[_View], number: int, fold: int) -> RowFeatures | None:
    """Unlabelled rows with the pseudo-labels of which the other views of a fold are sure; of one view its own."""
    teaching = [v for i, v in enumerate(views) if i != number] or views
    sure = np.zeros(len(lesson.unlabelled.target), dtype=bool)
    for view in teaching:
        outputs = view.by_fold_KUC[fold]
        there = ~np.isnan(outputs).any(1)
        if view.threshold is not None:
            sure[there] |= confidence(outputs[there], lesson.one_class) >= view.threshold
    joint = _mean([v.by_fold_KUC[fold] for v in teaching])
    chosen = np.flatnonzero(sure & ~np.isnan(joint).any(1))
    if len(chosen) == 0:
        return None
    target = joint[chosen].argmax(1) if lesson.one_class else (joint[chosen] > 0.5).astype(lesson.labelled.target.dtype)
    return rows_of(lesson.unlabelled, chosen, target)


def _mean(outputs: list[np.ndarray]) -> np.ndarray:
    """The mean over those that answer a row [N, C]; NaN where none does."""
    stacked = np.stack(outputs)
    there = ~np.isnan(stacked).any(2)
    total = np.where(there[..., None], stacked, 0.0).sum(0)
    count = there.sum(0)[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
