"""Fitting: from a plan to trained models, step by step and resumable.

A network of several modalities may learn from rows without their targets before (``pretraining.py``).
The fused model comes first, then one baseline per modality: the same recipe with that modality alone,
trained on the same rows, so that a report can say what fusing was worth. Under ``train.umt`` the baselines come first:
they are the teachers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from plait.data.balance import tells_nothing_alone
from plait.data.memory import require
from plait.data.progress import Progress
from plait.inputs.dataset import RowBatches, Source
from plait.model import PlaitModel
from plait.settings import TRANSPORT
from plait.training.blending import blending_watch
from plait.training.build import build_model
from plait.training.calibration import calibrate, observe, scale_features
from plait.training.embeddings import mine_before_epochs
from plait.training.history import History
from plait.training.length_groups import GroupedBatches
from plait.training.pace import steps_of
from plait.training.plan import Plan
from plait.training.pretraining import pretrain
from plait.training.processes import current
from plait.training.scores import EPOCH_SCORES
from plait.training.sharding import sharded_keys
from plait.training.teaching import taught_vectors
from plait.training.tracking import Tracking
from plait.training.trainer import train_model
from plait.training.unlabelled.term import unlabelled_term


def fit_model(
    plan: Plan,
    names: list[str],
    folder: Path,
    *,
    resume: bool = False,
    checkpoints: bool = True,
    tracking: Tracking | None = None,
    progress: Progress | None = None,
    teachers: Mapping[str, PlaitModel] | None = None,
) -> tuple[PlaitModel, History]:
    """Train a model on the named modalities of the plan (all of them, or one for a baseline).

    Args:
        plan: What is trained on what.
        names: Of the modalities.
        folder: Where checkpoints lie.
        resume: Go on from them.
        checkpoints: Write them, where the plan says that the run can go on.
        tracking: Trackers that are told of each epoch.
        progress: Called with (done, total, what).
        teachers: Under ``train.umt``, networks of one modality each that are trained already; those that are not given
            are trained first, and their time counts.
    """
    everything = [m.name for m in plan.inputs.modalities]
    started = time.monotonic()
    taught = len(names) > 1 and bool(plan.settings.train.umt)
    if taught and not teachers:
        teachers = {
            name: fit_model(
                plan, [name], folder.with_name(f"{folder.name}-teacher-{i:02d}"), resume=resume,
                checkpoints=checkpoints, progress=progress,
            )[0]
            for i, name in enumerate(names)
        }  # fmt: skip
    columns = [everything.index(n) for n in names]
    torch.manual_seed(plan.settings.train.seed)
    model = build_model(plan, names)
    processes = current()
    require_training(model, processes.number if processes is not None and plan.settings.train.fsdp else 1)
    sources = {n: plan.prepared.sources[n] for n in names}
    index_NM = plan.prepared.rows.index_NM[:, columns]
    rows = RowBatches(
        sources,
        index_NM[plan.train],
        plan.target[plan.train],
        plan.group_N[plan.train],
        fresh_pairs=plan.fresh_pairs and len(names) > 1,
        seed=plan.settings.train.seed,
    )
    shown = rows if plan.views is None else rows.with_views(plan.views, plan.train)  # to the steps of training alone
    scale_features(model, rows)
    observe(model, rows, _standing_alone(plan, sources, index_NM))
    pretrained = pretrain(plan, model, sources, index_NM, progress)
    unimodal = None if model.aids is None else model.aids.teachers
    if unimodal is not None and teachers:
        unimodal.learn_from(taught_vectors(teachers, rows))
    if plan.settings.train.hard_negatives:
        shown.before_epoch = mine_before_epochs(model, rows, shown, plan.settings.train.hard_negatives)
    seconds_before = time.monotonic() - started
    val = RowBatches(sources, index_NM[plan.val], plan.target[plan.val], plan.group_N[plan.val])
    choose = EPOCH_SCORES.get(plan.task.output_kind)

    def score(current: PlaitModel) -> dict[str, float]:
        shown.hard_NK = None  # rows as they are, not as batches are composed; mined anew before the next epoch
        calibrate(current, rows, val)
        return choose(plan, current, val)

    train = plan.settings.train
    if plan.unlabelled is not None and plan.unlabelled.settings.method == "mean_teacher" and not train.ema:
        train = replace(train, ema=plan.unlabelled.settings.decay)  # the teacher is what is judged and kept
    steps = steps_of(len(rows), train)
    given: RowBatches | GroupedBatches = shown
    if train.group_by_length and plan.task.family.writes:
        assert train.batch_size is not None
        given, train = GroupedBatches(shown, train.batch_size, train.seed), replace(train, batch_size=1)
    history = train_model(
        model,
        given,
        train,
        folder,
        score=score if len(plan.val) else None,
        watch=blending_watch(plan, model, sources, index_NM),
        resume=resume,
        checkpoints=checkpoints and plan.can_go_on,
        tracking=tracking,
        progress=progress,
        deadline=plan.deadline,
        unlabelled=unlabelled_term(plan, sources, index_NM, steps),
        what="training" if len(names) == len(everything) else f"training {names[0]} alone",
    )
    history.seconds += seconds_before
    history.pretraining = pretrained
    if unimodal is not None:
        unimodal.forget()
    return model, history


def _standing_alone(plan: Plan, sources: Mapping[str, Source], index_NM: np.ndarray) -> RowBatches | None:
    """Rows whose sides teach one by one: those without a pair that were given, and training rows with one side."""
    if plan.unlabelled is None or plan.unlabelled.settings.method != TRANSPORT:
        return None
    lonely = plan.train[(index_NM[plan.train] >= 0).sum(1) == 1]
    positions = np.concatenate([plan.unlabelled.positions, lonely])
    return RowBatches(sources, index_NM[positions], plan.target[positions], plan.group_N[positions])


def fit_unimodal_baselines(
    plan: Plan, folder: Path, *, resume: bool = False, progress: Progress | None = None
) -> dict[str, PlaitModel]:
    """One model per modality alone, trained like the fused one.

    None with one modality, where a task needs two, and where pairs are balanced: there each alone is at chance by
    construction, and training it would take most of the time to show nothing.
    """
    names = [m.name for m in plan.inputs.modalities]
    if len(names) < 2 or not plan.settings.train.baselines or not plan.task.has_baselines:
        return {}
    if plan.task.family.writes and plan.settings.language.model != "scratch":
        return {}  # each would hold the pretrained language model once more
    index_NM, right_N = plan.prepared.rows.index_NM[plan.train], plan.target[plan.train] == 1
    if plan.task.judges_pairs and tells_nothing_alone(index_NM, right_N):
        return {}
    return {
        name: fit_model(plan, [name], folder / f"{i:02d}", resume=resume, progress=progress)[0]
        for i, name in enumerate(names)
    }


COPIES = 4  # of a trained parameter beside itself: its gradient, two moments of the optimizer, the best epoch's


def require_training(model: PlaitModel, shards: int = 1) -> None:
    """Make sure that training fits beside the model, before its first step.

    Args:
        model: The model.
        shards: Processes over which encoders that learn whole are sharded; 1: they are not.

    Raises:
        ValueError: It does not; the message adds up what is needed.
    """
    parted = {id(w) for key in sharded_keys(model.encoders) for w in model.encoders[key].parameters()}
    sizes = [w.nbytes // (shards if id(w) in parted else 1) for w in model.parameters() if w.requires_grad]
    if model.device.type != "cpu":
        return
    require(
        {f"gradients, optimizer and best weights of {sum(sizes) / 4e6:.1f} million parameters": COPIES * sum(sizes)},
        "train less of the encoders (set=['encoders.tuning=lora'] or frozen), or take smaller ones",
    )
