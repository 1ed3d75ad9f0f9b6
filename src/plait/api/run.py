"""One training run, from a source and settings to an evaluated and saved model. Behind ``plait.fit``.

Opening and preparing are files of their own beside this one, as is the folder a run works in.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.calibrating import learn_calibration
from plait.api.evaluation import evaluation_report
from plait.api.model_folder import replace_model
from plait.api.network_file import check_finite
from plait.api.opening import OpenedRun, open_run
from plait.api.predictor import Plait
from plait.api.preparing import PreparedRun, prepare_run
from plait.api.run_alone import alone_notes
from plait.api.run_facts import run_facts
from plait.api.run_means import answer_mean
from plait.api.run_thresholds import decide
from plait.api.run_unlabelled import learn_unlabelled, say_transport, tell_of_members, trained_rows
from plait.api.working_folder import forget_run, model_stands, working_folder
from plait.data.progress import Progress
from plait.data.split import CALIBRATION
from plait.ensemble.features import TableFeatures
from plait.ensemble.fit import can_average, fit_ensemble, prototypes_alone
from plait.ensemble.networks import FOR_MEMBERS, MORE_SEEDS, NetworkFits
from plait.ensemble.transform import choose_transform
from plait.evaluation.inputs import evaluation_inputs
from plait.evaluation.trust import CALIBRATED_KINDS
from plait.registry import load_plugins
from plait.settings import TRANSPORT, RunSettings, merge_values, set_values
from plait.training import Plan, calibration_notes, needs_tokens
from plait.training.collector import old_objects_set_aside
from plait.training.deadline import Deadline
from plait.training.history import History
from plait.training.known_split import CHOSE_THE_EPOCH, split_fingerprint, table_fingerprint, trained_in_folds
from plait.training.processes import check_together, current
from plait.training.recomputed_activations import checkpointing_notes
from plait.training.seen_rows import SeenInputs
from plait.training.splitting import count_splits
from plait.training.tracking import open_tracking
from plait.training.tuning_notes import tuning_notes

TRANSFORM_WORDS = {"log": "its logarithm", "quantile": "its normal quantiles"}


def run_fit(
    source: Any,
    given: dict[str, Any],
    base: RunSettings,
    assignments: list[str],
    *,
    output: str | Path | None,
    annotations: str | None,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
    started: float | None = None,
    more: Any = None,
    unlabelled: Any = None,
) -> Plait:
    """Run everything; see :func:`plait.fit` for the arguments.

    Args:
        more: A second table of labelled rows that only train.
        unlabelled: A table of rows without a target that teach.
        started: ``time.monotonic()`` when the run began, from which its time limit is counted; None: now.
    """
    started = time.monotonic() if started is None else started
    load_plugins()  # metrics that they add belong to every evaluation
    with model_stands(output, overwrite):
        opened = open_run(
            source, given, base, assignments, annotations=annotations, more=more, unlabelled=unlabelled,
            progress=progress,
        )  # fmt: skip
    settings, processes = opened.settings, current()
    opened.notes += alone_notes(set_values(merge_values(base, given), list(assignments)), settings, opened.task)
    if processes is not None:
        check_together(settings, resume)
        opened.notes.append(f"{processes.number} processes of torchrun trained this model together")
        if settings.train.fsdp:
            opened.notes.append("encoders that learn whole were sharded over these processes (FSDP)")
    trackers = settings.train.log_to if processes is None or processes.is_first else ()
    with (
        old_objects_set_aside(),
        working_folder(output, settings, opened.table, resume, overwrite) as folder,
        open_tracking(trackers, run_facts(settings, output)) as tracking,
    ):
        deadline = Deadline(settings.time_limit, started)
        watched = deadline.watch_encoding(progress)
        prepare = partial(prepare_run, opened, with_tokens=needs_tokens(settings), progress=watched)
        ready = prepare() if processes is None else processes.in_turn(prepare)
        deadline.took("reading and encoding", deadline.seconds)
        plan = ready.plan = replace(ready.plan, deadline=deadline, can_go_on=output is not None)
        if settings.train.precision != "float32" and not _trains_large_parts(plan):
            opened.notes.append(
                f"train.precision={settings.train.precision} changes nothing here: no encoder is trained"
            )
        opened.notes += [*tuning_notes(plan), *checkpointing_notes(plan)]
        checkpoints = folder / "checkpoints"
        chosen = settings.ensemble
        assert chosen.members is not None and chosen.folds is not None
        is_joined = bool(chosen.members or settings.search.tries) and can_average(plan)
        if settings.search.tries and not is_joined and settings.time_limit is None:
            raise ValueError(
                f"a search chooses by validation rows and joins answers, which {plan.task.name} here does not allow; "
                "leave search= out, or give validation rows"
            )
        networks = NetworkFits(
            checkpoints,
            resume,
            tracking if tracking.names else None,
            progress,
            alone="alone" in chosen.members or not is_joined,
            seeds=MORE_SEEDS if is_joined and "seeds" in chosen.members else 0,
            asked=set_values(merge_values(base, given), assignments) if settings.search.tries else None,
            num_judged=int((opened.split[ready.usable] == _evaluated_split(opened, ready)).sum()),
            leaves=FOR_MEMBERS if is_joined and chosen.members else 0.0,
        )
        features, transform = TableFeatures(plan) if can_average(plan) else None, None
        if features is not None and settings.task.transform == "auto":
            plan, transform = choose_transform(plan, chosen.folds, features)
        plan, compared = networks.choose_fusion(plan, opened.alternative)
        plan, pretrained = networks.choose_pretraining(plan)
        settings, ready.plan = plan.settings, plan
        opened.notes += [*compared, *pretrained]
        if transform is not None:
            settings = _with_transform(settings, plan, transform, opened.notes)
        folds = chosen.folds if is_joined else 1
        plan, semi, teaching = learn_unlabelled(opened, ready, plan, networks, features, folds)
        if is_joined and features is not None:
            ensemble = fit_ensemble(
                plan, networks, members=chosen.members, num_folds=chosen.folds, features=features, progress=progress,
                teaching=teaching,
            )  # fmt: skip
            tell_of_members(semi, ensemble)
        else:
            ensemble = None
            trained = networks(plan, 0, "fused")
            networks(plan, 0, "alone")
            if "prototypes" in chosen.members and len(plan.val) == 0:
                ensemble = prototypes_alone(plan, *trained["fused"], TableFeatures(plan))
        model, history = networks.model, networks.history
        assert model is not None
        if semi is not None and semi["method"] == TRANSPORT:
            say_transport(semi, model, opened.notes)
        labels, told = decide(plan, model, networks.baselines, ensemble, chosen.folds)
        labels, means = answer_mean(plan, model, ensemble, chosen.folds, labels)
        told += means
        opened.notes += [*(ensemble.notes if ensemble is not None else []), *told]
        fitted = Plait(model, networks.baselines, plan.inputs, labels, opened.schema, settings, ensemble=ensemble)
        chose = np.isin(opened.split[ready.usable], ("train", "val"))
        seen = np.concatenate([ready.usable[chose], trained_rows(ready, semi, networks.pretraining)])
        fitted.seen = SeenInputs.of(plan.prepared.rows, seen)
        evaluated = time.monotonic()
        fitted.report = _run_report(opened, ready.usable, history, seconds=time.monotonic() - started)
        if semi is not None:
            fitted.report["unlabelled"] = semi
        if networks.pretraining is not None:
            fitted.report["pretraining"] = networks.pretraining
        check_finite(fitted)
        _calibrate(fitted, opened, ready, progress)
        _evaluate(fitted, opened, ready, progress)
        deadline.took("evaluation", time.monotonic() - evaluated)
        if deadline.limit is not None or networks.tries:
            fitted.report["budget"] = {**(deadline.to_json() or {}), "search": networks.tries}
        if output is not None:
            go_on = "make room, then do the same with resume=True to go on"
            replace_model(fitted, folder, history=True, how_to_go_on=go_on)
            forget_run(folder)
        tracking.finish(fitted.report)
        if tracking.names:
            fitted.report["logged"] = tracking.places()
    return fitted


def _note_cut(deadline: Deadline, notes: list[str]) -> None:
    """Say what the time limit cost."""
    if deadline.cut:
        notes.append(f"time_limit={deadline.limit:g}s stopped early: {', '.join(deadline.cut)}; the best epoch stands")
    if deadline.left_out:
        names = ", ".join(one["what"] for one in deadline.left_out)
        notes.append(f"time_limit={deadline.limit:g}s left no time for: {names}")


def _with_transform(settings: RunSettings, plan: Plan, transform: str, notes: list[str]) -> RunSettings:
    """The settings with the transform of a numeric target that was chosen, which is said."""
    if plan.task.output_kind != "number":
        return settings
    if transform != "none":
        notes.append(f"the target is learned as {TRANSFORM_WORDS[transform]}, which served the validation rows best")
    return replace(settings, task=replace(settings.task, transform=transform))


def _trains_large_parts(plan: Plan) -> bool:
    """Whether an encoder or a language model is trained, which a lower precision speeds up."""
    return any(not encoder.is_exact for encoder in plan.inputs.live.values()) or plan.task.family.writes


def _run_report(opened: OpenedRun, usable: np.ndarray, history: History, *, seconds: float) -> dict[str, Any]:
    """The part of a report that speaks of the run."""
    return {
        "splits": count_splits(opened.split, usable),
        "history": history.epochs,
        "best_epoch": history.best_epoch,
        "facts": {
            "source": opened.settings.data.source, "rows": len(opened.own_table),
            "fingerprint": table_fingerprint(opened.own_table),
            "split_fingerprint": split_fingerprint(opened.own_split),
            "training_seconds": round(history.seconds, 2), "seconds": round(seconds, 1), "notes": opened.notes,
            **opened.second,
        },
    }  # fmt: skip


def _calibrate(fitted: Plait, opened: OpenedRun, ready: PreparedRun, progress: Progress | None) -> None:
    """Learn from the calibration rows, where there are any."""
    rows = ready.usable[opened.split[ready.usable] == CALIBRATION]
    if len(rows) == 0 or fitted.task.output_kind not in CALIBRATED_KINDS:
        return
    opened.notes += learn_calibration(
        fitted, ready.plan.prepared, rows, {"source": opened.table.source, "split": CALIBRATION}, progress
    )
    assert fitted.calibration is not None
    why = fitted.calibration.facts["why"]
    opened.notes += [f"calibration: {why}"] if why else []


def _evaluated_split(opened: OpenedRun, ready: PreparedRun) -> str:
    """The held-out rows, or the best that there is."""
    found = opened.split[ready.usable]
    return next((s for s in ("test", "val", "train") if (found == s).any()), "train")


def _evaluate(fitted: Plait, opened: OpenedRun, ready: PreparedRun, progress: Progress | None) -> None:
    """Evaluate on the held-out rows, or on the best that there is, and complete the report."""
    notes, split, usable = opened.notes, opened.split, ready.usable
    evaluated = _evaluated_split(opened, ready)
    about = {
        "train": ["there are no held-out rows: the numbers are of the training rows and say little"],
        "val": [CHOSE_THE_EPOCH],
    }.get(evaluated, [])
    if evaluated == "val" and fitted.ensemble is not None and fitted.ensemble.has_folds:
        count = int((split[usable] == evaluated).sum())
        about = [trained_in_folds(count, count)]
    notes += calibration_notes(fitted.model, fitted.labels)
    given = evaluation_inputs(fitted, ready.plan.prepared, usable[split[usable] == evaluated], evaluated)
    given = replace(given, deadline=ready.plan.deadline, notes=[*about, *given.notes])
    fitted.report = evaluation_report(fitted, given, progress, trust=fitted.calibration is not None)
    _note_cut(ready.plan.deadline, notes)
    fitted.report["evaluation"]["notes"] = [*notes, *fitted.report["evaluation"]["notes"]]
