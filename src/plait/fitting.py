"""Fitting: from a prepared table and settings to trained models, step by step and resumable.

The fused model comes first, then one companion per modality: the same recipe with that modality alone,
trained on the same rows, so that a report can say what fusing was worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from plait.aids import chosen_aids
from plait.batches import RowBatches, Source, head_losses, predict_logits
from plait.data.schema import Modality
from plait.encoders.base import Encoder
from plait.fusion import FUSIONS, Calibrated, SeenBatch
from plait.history import History
from plait.model import PlaitConfig, PlaitModel
from plait.prepare import TABULAR_WIDTH, Inputs, Prepared
from plait.settings import RunSettings
from plait.tasks import LabelState, Task
from plait.train import train_model

Progress = Callable[[int, int, str], None]
JUDGED_AT_ONCE = 1024
MEASURED_AT_MOST = 8192  # training rows whose loss gradient blending measures after each epoch


@dataclass
class Plan:
    """What is trained on what.

    Attributes:
        settings: Resolved settings.
        task: The task.
        labels: Label state of the training rows.
        inputs: Processors and encoders.
        prepared: All rows.
        target: Encoded target of every row of the table (rows without one hold a filler).
        train: Positions of training rows.
        val: Positions of validation rows; may be empty.
        group_N: Group number of every row.
        fresh_pairs: Whether wrong pairs are drawn anew every epoch.
    """

    settings: RunSettings
    task: Task
    labels: LabelState
    inputs: Inputs
    prepared: Prepared
    target: np.ndarray
    train: np.ndarray
    val: np.ndarray
    group_N: np.ndarray  # noqa: N815  shape letters
    fresh_pairs: bool


def fit_model(
    plan: Plan,
    names: list[str],
    folder: Path,
    *,
    resume: bool = False,
    checkpoints: bool = True,
    logs: Path | None = None,
    progress: Progress | None = None,
) -> tuple[PlaitModel, History]:
    """Train a model on the named modalities of the plan (all of them, or one for a companion)."""
    everything = [m.name for m in plan.inputs.modalities]
    columns = [everything.index(n) for n in names]
    torch.manual_seed(plan.settings.train.seed)
    model = build_model(plan, names)
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
    val = RowBatches(sources, index_NM[plan.val], plan.target[plan.val])
    val_target = natural_target(plan.task, plan.target[plan.val], plan.labels)

    def score(current: PlaitModel) -> dict[str, float]:
        calibrate(current, rows, val)
        outputs = plan.task.activate(predict_logits(current, val), plan.labels)
        metrics = plan.task.metrics(val_target, outputs)
        numbers = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
        chosen = numbers.get(plan.task.selects or plan.task.primary)
        return numbers | ({} if chosen is None else {"score": chosen})

    history = train_model(
        model,
        rows,
        plan.settings.train,
        folder,
        score=score if len(plan.val) else None,
        watch=blending_watch(plan, model, sources, index_NM),
        higher_is_better=plan.task.higher_is_better,
        resume=resume,
        checkpoints=checkpoints,
        logs=logs,
        progress=progress,
        what="training" if len(names) == len(everything) else f"training {names[0]} alone",
    )
    return model, history


def blending_watch(
    plan: Plan, model: PlaitModel, sources: dict[str, Source], index_NM: np.ndarray
) -> Callable[[PlaitModel], dict[str, float]] | None:
    """What gradient blending looks at after each epoch, or None where it is off."""
    if model.aids is None or model.aids.blending is None:
        return None
    seen = plan.train[:: math.ceil(len(plan.train) / MEASURED_AT_MOST)]
    sets = [RowBatches(sources, index_NM[rows], plan.target[rows]) for rows in (seen, plan.val)]
    names = [*model.config.modality_names, "joint"]

    def watch(current: PlaitModel) -> dict[str, float]:
        blending = cast(Any, current.aids).blending
        blending.observe(*(head_losses(current, rows) for rows in sets))
        return {f"blending_{n}": float(w) for n, w in zip(names, blending.weights_K.tolist(), strict=True)}

    return watch


def build_model(plan: Plan, names: list[str]) -> PlaitModel:
    """A fresh model on the named modalities, with trained encoders at their starting weights."""
    inputs = plan.inputs
    config = _config(plan.settings, plan.task, inputs, names, plan.labels.num_outputs)
    config.class_weights = _class_weights(plan) if plan.settings.task.class_weights else None
    model = PlaitModel.from_encoders(config, {n: inputs.live[n] for n in names if n in inputs.live})
    model.fusion.start_from(plan.target[plan.train], config.class_weights)
    return model


def check_build(settings: RunSettings, task: Task, inputs: Inputs, values: list[Any]) -> None:
    """Build fusion, head and aids once and throw them away, so that what cannot be built is told before encoding.

    Args:
        settings: Resolved settings.
        task: The task.
        inputs: Loaded encoders; that of numbers and categories may be missing yet.
        values: Plain targets of the rows meant for training; they tell how many outputs there are.

    Raises:
        ValueError: The fusion or the head does not suit the task, or an option is wrong.
    """
    if not values:
        return  # told later, with the reason
    config = _config(settings, task, inputs, [m.name for m in inputs.modalities], task.fit(values).num_outputs)
    for modality in config.modalities:
        modality["encoder"] = None  # stands already, and costs time to build
    with torch.random.fork_rng(devices=[]):  # the run draws the same numbers as without the check
        PlaitModel(config)


def _config(settings: RunSettings, task: Task, inputs: Inputs, names: list[str], num_outputs: int) -> PlaitConfig:
    """The model's config, class weights apart."""
    alone = len(names) == 1
    fusion_name = settings.fusion.name
    assert fusion_name is not None
    options = dict(settings.fusion.options)
    if alone and "raw" in options:
        options["raw"] = False
    head = settings.task.head if not alone else "label"
    lonely = alone and len(inputs.modalities) > 1  # a companion: what works between modalities has nothing to do there
    return PlaitConfig(
        modalities=[_modality(m, inputs) for m in inputs.modalities if m.name in names],
        fusion={
            "name": fusion_name,
            "width": settings.fusion.width,
            "dropout": settings.fusion.dropout,
            "options": options,
        },
        head={"name": head, "dropout": settings.fusion.dropout if head == "pair" else 0.0},
        task=task.name,
        num_outputs=num_outputs,
        modality_dropout=settings.train.modality_dropout or 0.0,
        alignment=(settings.train.alignment or 0.0) if head == "pair" else 0.0,
        aids={} if lonely else chosen_aids(settings.train, pair_head=head == "pair"),
    )


def _modality(modality: Modality, inputs: Inputs) -> dict[str, Any]:
    live = modality.name in inputs.live
    facts: dict[str, Any] = {"name": modality.name, "kind": modality.kind}
    if not live and modality.name not in inputs.frozen:  # numbers and categories, before training rows are known
        return {**facts, "vector_dim": TABULAR_WIDTH, "token_dim": TABULAR_WIDTH, "encoder": None}
    encoder: Encoder = inputs.live[modality.name] if live else inputs.frozen[modality.name]
    has_tokens = live or inputs.with_tokens
    return {
        **facts, "vector_dim": encoder.vector_dim, "token_dim": encoder.token_dim if has_tokens else None,
        "encoder": encoder.config() if live else None,
    }  # fmt: skip


def fit_companions(
    plan: Plan, folder: Path, *, resume: bool = False, progress: Progress | None = None
) -> dict[str, PlaitModel]:
    """One model per modality alone, trained like the fused one; none when there is only one modality."""
    names = [m.name for m in plan.inputs.modalities]
    if len(names) < 2 or not plan.settings.train.baselines:
        return {}
    return {
        name: fit_model(plan, [name], folder / f"{i:02d}", resume=resume, progress=progress)[0]
        for i, name in enumerate(names)
    }


def calibrate(model: PlaitModel, train: RowBatches, val: RowBatches) -> None:
    """Let fusion and head fit on validation rows what must not be fitted by gradient on training rows."""
    was_training = model.training
    model.train(False)
    with torch.no_grad():
        for part in (model.fusion, model.head):
            if isinstance(part, Calibrated):
                part.calibrate_from(ModelRows(model, train), ModelRows(model, val))
    model.train(was_training)


def calibration_notes(model: PlaitModel, labels: LabelState) -> list[str]:
    """What fusion and head could not fit on validation rows, for the report; none where all was fitted."""
    names = list(labels.classes) or ["number"]
    return [n for part in (model.fusion, model.head) if isinstance(part, Calibrated) for n in part.notes(names)]


class ModelRows:
    """Rows as a model sees them, for ``calibrate_from``."""

    def __init__(self, model: PlaitModel, rows: RowBatches) -> None:
        assert rows.target is not None
        self.model, self.rows, self.target = model, rows, rows.target.numpy()

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        """All rows in order, or those at the positions ``chosen``, many at once."""
        device = next(self.model.parameters()).device
        positions = list(range(len(self.rows))) if chosen is None else chosen.tolist()
        for start in range(0, len(positions), JUDGED_AT_ONCE):
            batch = self.rows.__getitems__(positions[start : start + JUDGED_AT_ONCE])
            inputs = {n: {k: t.to(device) for k, t in v.items()} for n, v in batch["inputs"].items()}
            present = batch["present"].to(device)
            encoded = self.model.encode(inputs, present)
            yield SeenBatch(encoded, present, partial(self.model.fusion, encoded, present), batch["keys"])


def natural_target(task: Task, target: np.ndarray, labels: LabelState) -> np.ndarray:
    """Encoded targets as metrics take them: numbers back in their own unit, classes as they are."""
    if task.name == "regression":
        return target.astype(np.float64) * labels.std + labels.mean
    return target


def needs_tokens(settings: RunSettings) -> bool:
    """Whether the fusion reads tokens."""
    assert settings.fusion.name is not None
    return FUSIONS.get(settings.fusion.name).info.needs_tokens


def _class_weights(plan: Plan) -> list[float]:
    """Inverse class frequency, mean 1; for label sets, negatives over positives."""
    target = plan.target[plan.train]
    if plan.task.name == "multilabel":
        positives = target.sum(0).clip(min=1)
        return [float(w) for w in (len(target) - positives) / positives]
    if plan.task.name == "regression":
        raise ValueError("class weights need classes; leave --set task.class_weights out for a numeric target")
    counts = np.bincount(target, minlength=plan.labels.num_outputs).clip(min=1)
    weights = len(target) / (len(counts) * counts)
    return [float(w) for w in weights]
