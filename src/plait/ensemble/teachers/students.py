"""Networks that teach networks: an ensemble answers the unlabelled rows, and students of all rows become the next one.

    first generation    K networks, each of all folds but one            answers held-out rows too, which calibrate it
    further ones        3 networks of all labelled rows and, beside them, of all unlabelled rows with the mean answer of
                        the generation before; every row counts by how sure that answer is

The network of the run is the student of the last. Where rows have views (``augment.views``) and the recipe has dropout,
students see both, and teachers neither, which is the noise of the name.

Reference: Xie, Luong, Hovy and Le 2020 (self-training with noisy student), algorithm 1; Lee 2013 (pseudo-labels).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from plait.data.progress import Progress
from plait.ensemble.networks import SEED_STEP
from plait.ensemble.teachers.base import TEACHERS, Lesson, Taught, Teacher
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.settings import NO_PRETRAINING
from plait.settings.unlabelled import STUDENT
from plait.training.deadline import Deadline
from plait.training.fit import fit_model
from plait.training.plan import Plan
from plait.training.unlabelled.rows import PseudoLabels, UnlabelledRows

CHOOSE = 0.2  # share of the labelled groups that choose an epoch where no validation row is left to
A_STUDENT = 2.0  # seconds of a student, in those of a network of labelled rows alone
STUDENTS = 3  # networks of a generation after the first, which has one a fold


@dataclass(frozen=True)
class StudentFits:
    """Trains networks like that of the run and lets them answer.

    Their epoch is chosen as that of the run is, by validation rows; where these are dealt into the folds of an
    ensemble, by a fifth of the labelled rows, set apart from them.

    Attributes:
        plan: Of the run, without unlabelled rows.
        rows: The unlabelled ones.
        folder: Where networks may write.
        progress: Called with (done, total, what).
    """

    plan: Plan
    rows: UnlabelledRows
    folder: Path
    progress: Progress | None = None

    def __call__(
        self, train: np.ndarray, asked: np.ndarray, taught: PseudoLabels | None, number: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answers of one network, numbers in their unit: to some rows [A, C] and to the unlabelled ones [U, C].

        Args:
            train: Positions of its labelled rows.
            asked: Positions of those that it answers.
            taught: Of all unlabelled rows; None: labelled rows alone teach.
            number: Of the network, which gives its seed.
            count: How many there are in all.
        """
        plan, rows = self.plan, self.rows
        settings = replace(
            plan.settings, train=replace(plan.settings.train, seed=plan.settings.train.seed + SEED_STEP * (number + 1)),
            pretrain=replace(plan.settings.pretrain, objective=NO_PRETRAINING),
        )  # fmt: skip
        given = None if taught is None else replace(rows, label=lambda _: taught, _given={})
        train, val = _parted(plan, train)
        own = replace(
            plan, settings=settings, train=train, val=val, unlabelled=given, can_go_on=False, deadline=Deadline()
        )
        names = [m.name for m in plan.inputs.modalities]
        model, _ = fit_model(
            own, names, self.folder / f"{number:02d}", checkpoints=False, progress=self._told(number, count)
        )
        sources, index_NM = plan.prepared.sources, plan.prepared.rows.index_NM
        made = []
        for positions in (asked, rows.positions):
            logits = predict_logits(model, RowBatches(sources, index_NM[positions]))
            made.append(np.asarray(plan.task.activate(logits, plan.labels), dtype=np.float64))
        return made[0], made[1]

    def _told(self, number: int, count: int) -> Progress | None:
        told = self.progress
        if told is None:
            return None
        return lambda done, total, what: told(done, total, f"teacher {number + 1} of {count}, {what}")


def _parted(plan: Plan, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train, and those that choose the epoch; groups stay whole, and a single one trains without a choice."""
    if not np.isin(plan.val, train).any():
        return train, plan.val
    group_T = plan.group_N[train]
    dealt = np.random.default_rng(plan.settings.train.seed).permutation(np.unique(group_T))
    if len(dealt) < 2:
        return train, train[:0]
    is_apart = np.isin(group_T, dealt[: max(1, round(len(dealt) * CHOOSE))])
    return train[~is_apart], train[is_apart]


def noisy_student(lesson: Lesson) -> Taught | None:
    """The mean answers of the last generation; what it knows of held-out rows comes of the first."""
    assert lesson.network is not None
    everyone = np.arange(len(lesson.labelled.target))
    held_out = np.full((len(everyone), lesson.num_outputs), np.nan)
    answers, count = [], len(lesson.folds) + lesson.settings.rounds * STUDENTS
    for number, (inside, outside) in enumerate(lesson.folds):
        if lesson.stops():
            return None
        given = lesson.network(inside, outside, None, number, count)
        assert given is not None
        held_out[outside] = given[0]
        answers.append(given[1])
    taught, made = Taught(held_out, np.mean(answers, axis=0), {"rounds": 0}), len(answers)
    for generation in range(1, lesson.settings.rounds + 1):
        answers = []
        for number in range(made, made + STUDENTS):
            given = None if lesson.stops() else lesson.network(everyone, everyone[:0], taught, number, count)
            if given is None:
                return taught
            answers.append(given[1])
        made += STUDENTS
        taught = Taught(held_out, np.mean(answers, axis=0), {"rounds": generation})
    return taught


def _networks(folds: int, rounds: int) -> float:
    return folds + rounds * STUDENTS * A_STUDENT


TEACHERS.add(STUDENT, Teacher(noisy_student, modalities=0, all_teach=True, networks=_networks))
