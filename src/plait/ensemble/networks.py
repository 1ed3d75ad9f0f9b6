"""The networks of an ensemble: of each fold the fused one, one a modality alone, and the best tries of a search."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plait.data.progress import Progress
from plait.ensemble.base import FUSED
from plait.ensemble.scale import SCALES
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.settings import NO_PRETRAINING, RunSettings
from plait.training import needs_tokens
from plait.training.fit import fit_model, fit_unimodal_baselines
from plait.training.history import History
from plait.training.plan import Plan
from plait.training.scores import validation_loss
from plait.training.search import best_tries, search, tried_settings
from plait.training.tracking import Tracking

SEED_STEP = 1000  # seeds of folds follow one another
MORE_SEEDS = 2
FOR_MEMBERS = 0.4  # share of the time left that the first network leaves to members that take seconds
PROBED, MOST_PASSES = 256, 16  # rows that are answered once to see what judging will take; patterns that are judged
STAGES = (
    "fused",
    "alone",
    "seeds",
    "tries",
)  # in the order of what they are worth; members that take seconds follow the first
Networks = dict[str, tuple[PlaitModel, float]]


@dataclass
class NetworkFits:
    """Trains the networks of each fold and keeps those of the first.

    Args:
        folder: Where checkpoints live.
        resume: Go on from them.
        tracking: Trackers that are told of the epochs of the fused network of the first fold.
        progress: Called with (done, total, what).
        alone: Whether one network a modality alone is trained too.
        seeds: How many fused networks of other seeds are trained too.
        num_judged: Rows that are evaluated at the end; time for them is kept under a time limit.
        leaves: Share of the time left that the first network leaves to members that take seconds.
        asked: Settings as the user gave them, which a search leaves as they are; None: no search.

    Attributes:
        model: The fused network of the first fold.
        history: Its epochs.
        baselines: The networks of one modality each of the first fold.
        tries: Records of the search.
        pretraining: How pretraining of the fused network of the first fold went and whether it was kept; None: none.
    """

    folder: Path
    resume: bool = False
    tracking: Tracking | None = None
    progress: Progress | None = None
    alone: bool = True
    seeds: int = 0
    num_judged: int = 0
    leaves: float = 0.0
    asked: RunSettings | None = None
    model: PlaitModel | None = None
    history: History = field(default_factory=History)
    baselines: dict[str, PlaitModel] = field(default_factory=dict)
    tries: list[dict[str, Any]] = field(default_factory=list)
    pretraining: dict[str, Any] | None = None
    _taught: dict[int, Networks] = field(default_factory=dict)
    _winners: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, plan: Plan, fold: int, stage: str) -> Networks:
        """Networks of a fold and a stage by name, with the seconds each took; what does not fit in time is left out."""
        place = self.folder if fold == 0 else self.folder / f"fold-{fold:02d}"
        steps = {"fused": self._fused, "alone": self._alone, "seeds": self._seeds, "tries": self._tries}
        made = steps[stage](plan, fold, place)
        for name, (_, seconds) in made.items():
            plan.deadline.took(name if fold == 0 else f"{name}, fold {fold + 1}", seconds)
        return made

    def supervised(self, plan: Plan) -> tuple[PlaitModel, History]:
        """The fused network of the first fold, trained where it has not been."""
        self._fused(plan, 0, self.folder)
        assert self.model is not None
        return self.model, self.history

    def choose_fusion(self, plan: Plan, alternative: RunSettings | None) -> tuple[Plan, list[str]]:
        """The plan with the fusion that answers validation rows better, and sentences that say so.

        Both are trained, the given one first; the winner is the fused network of the first fold. Equal scores take the
        one with the smaller loss on these rows.

        Args:
            plan: Of the given fusion.
            alternative: Its settings with another fusion; None: there is nothing to choose.
        """
        if alternative is None or len(plan.val) == 0:
            return plan, []
        self._fused(plan, 0, self.folder)
        given, names = self.history, [str(one.fusion.name) for one in (plan.settings, alternative)]
        if not plan.deadline.has_room(f"fusion {names[1]}", given.seconds):
            return plan, []
        other = replace(plan, settings=alternative)
        other = other if needs_tokens(alternative) else other.without_tokens()
        model, history = fit_model(
            other, _names(plan), self.folder / "alternative", resume=self.resume, progress=self.progress
        )
        is_better = _is_better(history, given)
        plan.deadline.took(f"fusion {names[not is_better]}", (given if is_better else history).seconds)
        if is_better:
            self.model, self.history = model, history
        return _decided(other if is_better else plan), [_on_validation_rows(plan, names, (given, history), is_better)]

    def choose_pretraining(self, plan: Plan) -> tuple[Plan, list[str]]:
        """The plan with or without pretraining, whichever answers validation rows at the smaller loss of the task.

        Both networks are trained, the pretrained one first; the winner is the fused network of the first fold. Equal
        losses take the one without. What was done and why stands in ``pretraining`` and in the returned sentences.

        Args:
            plan: As asked; without pretraining nothing is done.
        """
        if plan.settings.pretrain.objective == NO_PRETRAINING:
            return plan, []
        self._fused(plan, 0, self.folder)
        given = self.history
        if given.pretraining is None:
            return plan, []
        self.pretraining = given.pretraining.to_json() | {"kept": True}
        told = [_was_pretrained(given)]
        if len(plan.val) == 0:
            return plan, [
                *told,
                "no validation rows compare it with a network without pretraining: it is kept",
            ]
        if not plan.deadline.has_room("the network without pretraining", given.seconds):
            return plan, [*told, "no time was left to compare it with a network without pretraining: it is kept"]
        without = replace(plan.settings.pretrain, objective=NO_PRETRAINING)
        other = replace(plan, settings=replace(plan.settings, pretrain=without))
        model, history = fit_model(
            other, _names(plan), self.folder / "not-pretrained", resume=self.resume, progress=self.progress,
            teachers=self._teachers(0),
        )  # fmt: skip
        assert self.model is not None
        losses = [validation_loss(plan, one) for one in (self.model, model)]
        is_kept = losses[0] < losses[1]
        self.pretraining |= {"kept": is_kept, "validation_loss": losses[0], "validation_loss_without": losses[1]}
        plan.deadline.took("without pretraining" if is_kept else "pretrained", (history if is_kept else given).seconds)
        if not is_kept:
            self.model, self.history = model, history
        kept = "pretrained one" if is_kept else "one without"
        told.append(
            f"networks with and without pretraining were both trained; the {kept} is kept (loss on validation rows "
            f"{losses[0]:.4g} with it, {losses[1]:.4g} without)"
        )
        return plan if is_kept else other, told

    def _fused(self, plan: Plan, fold: int, place: Path) -> Networks:
        if fold == 0 and self.model is not None:
            return {FUSED: (self.model, self.history.seconds)}
        if plan.settings.train.umt:  # networks of a modality alone are its teachers
            self._taught[fold] = self._fit_alone(plan, place)
        with plan.deadline.leaving(self.leaves if fold == 0 else 0.0):
            model, history = fit_model(
                plan, _names(plan), place / FUSED, resume=self.resume, tracking=self.tracking if fold == 0 else None,
                progress=self.progress, teachers=self._teachers(fold),
            )  # fmt: skip
        if fold == 0:
            self.model, self.history = model, history
            self._keep_time_for_judging(plan)
        return {FUSED: (model, history.seconds)}

    def _keep_time_for_judging(self, plan: Plan) -> None:
        """Reserve what the passes over the evaluated rows will take, by what one over some rows takes."""
        assert self.model is not None
        rows, modalities = plan.train[:PROBED], len(plan.inputs.modalities)
        if plan.deadline.limit is None or self.num_judged == 0 or plan.task.output_kind not in SCALES:
            return
        began = time.monotonic()
        predict_logits(self.model, RowBatches(plan.prepared.sources, plan.prepared.rows.index_NM[rows]))
        a_row = (time.monotonic() - began) / len(rows)
        plan.deadline.reserve(a_row * self.num_judged * (min(MOST_PASSES, 2**modalities) + modalities))

    def _alone(self, plan: Plan, fold: int, place: Path) -> Networks:
        names = _names(plan)
        if not self.alone or len(names) < 2:
            return {}
        if fold not in self._taught:
            if not plan.deadline.has_room("networks of a modality alone", len(names) * self.history.seconds):
                return {}
            self._taught[fold] = self._fit_alone(plan, place)
        made = self._taught[fold]
        if fold == 0:
            self.baselines = {name: network for name, (network, _) in made.items()}
        return {f"{name} alone": one for name, one in made.items()}

    def _fit_alone(self, plan: Plan, place: Path) -> Networks:
        """One network a modality alone, by its name, if they are wanted."""
        started = time.monotonic()
        alone = fit_unimodal_baselines(plan, place, resume=self.resume, progress=self.progress) if self.alone else {}
        seconds = (time.monotonic() - started) / max(1, len(alone))
        return {name: (network, seconds) for name, network in alone.items()}

    def _teachers(self, fold: int) -> dict[str, PlaitModel]:
        return {name: network for name, (network, _) in self._taught.get(fold, {}).items()}

    def _seeds(self, plan: Plan, fold: int, place: Path) -> Networks:
        found = {}
        for number in range(2, self.seeds + 2):
            name = f"{FUSED}, seed {number}"
            if plan.deadline.has_room(name, self.history.seconds):
                model, history = fit_model(
                    _with_seed(plan, plan.settings.train.seed + number * SEED_STEP), _names(plan),
                    place / f"seed-{number}", resume=self.resume, progress=self.progress,
                    teachers=self._teachers(fold),
                )  # fmt: skip
                found[name] = (model, history.seconds)
        return found

    def _tries(self, plan: Plan, fold: int, place: Path) -> Networks:
        if self.asked is None:
            return {}
        if fold == 0:
            an_epoch = self.history.seconds / max(1, len(self.history.epochs))
            self.tries = search(
                plan, self.asked, self.folder / "search", seconds_an_epoch=an_epoch, progress=self.progress
            )
            self._winners = best_tries(plan, self.tries)
        found = {}
        for record in self._winners:
            tried = replace(plan, settings=tried_settings(plan.settings, record["settings"]))
            name = f"{tried.settings.fusion.name}, try {record['number']}"
            if plan.deadline.has_room(name, self.history.seconds):
                model, history = fit_model(
                    tried, _names(plan), place / f"try-{record['number']:03d}", resume=self.resume,
                    progress=self.progress,
                )  # fmt: skip
                found[name] = (model, history.seconds)
        return found


def _was_pretrained(history: History) -> str:
    """What pretraining was done on how many rows, and where its loss went."""
    assert history.pretraining is not None
    done = history.pretraining
    without = f", {done.unlabelled:,} of them without one" if done.unlabelled else ""
    return (
        f"pretraining ({done.objective}) saw {done.rows:,} rows without looking at their target{without}, "
        f"{done.epochs} times: loss {done.first:.4g} at first, {done.last:.4g} at last"
    )


def _decided(plan: Plan) -> Plan:
    """The plan with no other fusion to try, so that its settings train just this one."""
    fusion = replace(plan.settings.fusion, alternative="none")
    return replace(plan, settings=replace(plan.settings, fusion=fusion))


def _is_better(ours: History, theirs: History) -> bool:
    if ours.best_score is None or theirs.best_score is None:
        return False
    return theirs.is_passed_by(ours.best_score, ours.best_loss)


def _on_validation_rows(plan: Plan, names: list[str], histories: tuple[History, History], is_second: bool) -> str:
    """Which of two fusions was kept, and by which numbers."""
    metric = plan.task.selects or plan.task.primary
    scores = [h.epochs[h.best_epoch - 1].get(f"val_{metric}", math.nan) for h in histories]
    kept, left = (1, 0) if is_second else (0, 1)
    x, y = scores[kept], scores[left]
    if x != y:
        return (
            f"fusions {names[0]} and {names[1]} were both trained; {names[kept]} is kept, which answers validation "
            f"rows better ({metric} {x:.3f} against {y:.3f})"
        )
    smaller, larger = (math.nan if histories[i].best_loss is None else histories[i].best_loss for i in (kept, left))
    return (
        f"fusions {names[0]} and {names[1]} were both trained; {names[kept]} is kept, which answers validation rows "
        f"as well ({metric} {x:.3f}), with loss {smaller:.4g} against {larger:.4g}"
    )


def _names(plan: Plan) -> list[str]:
    return [m.name for m in plan.inputs.modalities]


def _with_seed(plan: Plan, seed: int) -> Plan:
    return replace(plan, settings=replace(plan.settings, train=replace(plan.settings.train, seed=seed)))
