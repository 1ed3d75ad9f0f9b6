"""Pretraining: projections and fusion of a fresh network learn from rows without targets, before the labelled step.

In: a plan, a fresh model and the rows it may see; ``rows_without_targets`` is the one place that says which. Out: the
same model, trained in place but for its head, which no term reaches and so starts fresh, and how the loss went.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.data.dealing import is_empty_cell
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.table import Table
from plait.encoders.gradient_checkpointing import gradient_checkpointing
from plait.fusion import FUSIONS
from plait.inference.forward import to_device
from plait.inputs.dataset import RowBatches, Source
from plait.inputs.inputs import Inputs
from plait.model import PlaitModel
from plait.objectives import PRETRAINING, PretrainingTerm, Step
from plait.settings import NO_PRETRAINING, RunSettings
from plait.tasks import Task
from plait.training.calibration import fit_scalers
from plait.training.history import Pretraining
from plait.training.optimizer import make_optimizer
from plait.training.plan import Plan

ROWS_AT_ONCE = 256  # contrast needs many rows a step, however few of them have labels; trained encoders take fewer
OFF = "set=['pretrain.objective=none']"
NOTHING_TO_LEARN = (
    "pretrain.objective={name} found nothing to learn from: no two rows have two modalities; leave it out " + f"({OFF})"
)


def rows_without_targets(plan: Plan) -> np.ndarray:
    """Positions of the rows that pretraining may see: those that train, and those that have no target."""
    return np.concatenate([plan.train, plan.pretraining_rows])


def check_pretraining(settings: RunSettings, task: Task, inputs: Inputs) -> None:
    """Refuse pretraining that cannot work here, before anything is encoded.

    Raises:
        ValueError: One modality only, a late fusion, a task that answers neither labels nor numbers; or ``masked``
            without a frozen encoder.
    """
    name = settings.pretrain.objective
    if name == NO_PRETRAINING:
        return
    fusion = str(settings.fusion.name)
    if task.family.writes or task.judges_pairs or not task.needs_target:
        raise ValueError(
            f"pretrain.objective={name} goes before learning labels or numbers, and task {task.name!r} learns from "
            f"text or pairs; leave it out ({OFF})"
        )
    if len(inputs.modalities) < 2:
        raise ValueError(
            f"pretrain.objective={name} works between modalities and needs two, got {len(inputs.modalities)}; leave it "
            f"out ({OFF})"
        )
    _check_fusion(name, fusion)
    fixed = {n for n, encoder in inputs.live.items() if is_fixed(encoder)} | set(inputs.frozen)
    learns = [m.name for m in inputs.modalities if m.name not in fixed]
    if name == "masked" and len(learns) == len(inputs.modalities):
        raise ValueError(
            f"pretrain.objective=masked predicts vectors of frozen encoders, and all are trained here "
            f"({', '.join(learns)}); type set=['pretrain.objective=comm'], or leave it out ({OFF})"
        )


def check_rows(settings: RunSettings, table: Table, modalities: Sequence[Modality], positions: np.ndarray) -> None:
    """Refuse pretraining on rows of which no two hold two modalities, by their cells, before anything is encoded.

    Args:
        settings: Of the run.
        table: Its rows.
        modalities: What the model reads.
        positions: Of the rows that pretraining would see.

    Raises:
        ValueError: There is nothing to learn from.
    """
    if settings.pretrain.objective == NO_PRETRAINING:
        return
    filled_NM = np.zeros((len(table), len(modalities)), dtype=bool)
    for m, modality in enumerate(modalities):
        for column in (c for c in modality.columns if c in table.column_names):
            filled_NM[:, m] |= [not is_empty_cell(cell) for cell in table.column(column)]
    if (filled_NM[positions].sum(1) > 1).sum() < 2:
        raise ValueError(NOTHING_TO_LEARN.format(name=settings.pretrain.objective))


def _check_fusion(objective: str, fusion: str) -> None:
    if FUSIONS.get(fusion).is_late:
        raise ValueError(
            f"pretrain.objective={objective} trains the fused vector, and fusion {fusion!r} joins answers; type "
            f"fusion='concat', or leave it out ({OFF})"
        )


def pretrain(
    plan: Plan, model: PlaitModel, sources: dict[str, Source], index_NM: np.ndarray, progress: Progress | None = None
) -> Pretraining | None:
    """Train everything but the head in place; None where the settings ask for nothing or one modality is left.

    Args:
        plan: Its settings say how, its seed decides all that is random.
        model: A fresh network.
        sources: Of its modalities, in model order.
        index_NM: Item numbers of all rows of the table.
        progress: Called with steps done, steps in all and a line of text.

    Raises:
        ValueError: The fusion joins answers (one of a comparison, or of a try).
        RuntimeError: The loss is not finite, or no batch had anything to learn from.
    """
    asked, train = plan.settings.pretrain, plan.settings.train
    if asked.objective == NO_PRETRAINING or len(sources) < 2:
        return None
    _check_fusion(asked.objective, str(model.config.fusion["name"]))
    positions = rows_without_targets(plan)
    rows = RowBatches(sources, index_NM[positions], np.zeros(len(positions)), plan.group_N[positions])
    with torch.random.fork_rng():
        torch.manual_seed(train.seed)
        term = PRETRAINING.get(asked.objective)(_frozen_widths(model), int(model.config.fusion["width"]), asked.mask)
        fit_scalers(term.scalers, model, rows, partial(_frozen_vector, model))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with gradient_checkpointing(model, train.gradient_checkpointing):
            losses = _learn(plan, model.to(device), term.to(device), rows, progress)
    model.train(False)
    if not losses:
        raise RuntimeError(NOTHING_TO_LEARN.format(name=asked.objective))
    return Pretraining(asked.objective, len(rows), len(plan.pretraining_rows), len(losses), losses[0], losses[-1])


def is_fixed(encoder: nn.Module) -> bool:
    """Whether nothing of an encoder learns, wherever it stands (that of ready vectors stands inside the model)."""
    return not any(p.requires_grad for p in encoder.parameters())


def _frozen_widths(model: PlaitModel) -> list[int | None]:
    """Widths of the vectors that fixed encoders give, in model order; None where the encoder learns."""
    bags = [(m.get("words") or {}).get("width", 0) for m in model.config.modalities]
    encoders = [model.encoder_of(m) for m in range(len(bags))]
    return [
        one["vector_dim"] - bag if encoder is None or is_fixed(encoder) else None
        for one, bag, encoder in zip(model.config.modalities, bags, encoders, strict=True)
    ]


@torch.no_grad()
def _frozen_vector(model: PlaitModel, inputs: dict[str, Any], m: int) -> Tensor:
    """The vectors of a modality with a fixed encoder [B, D_m], before scaling, words and adapters."""
    tensors = inputs[model.config.modality_names[m]]
    if "vector_BD" in tensors:
        return cast(Tensor, tensors["vector_BD"])
    return model.encode_modality(m, tensors).vector_BD


def _learn(
    plan: Plan, model: PlaitModel, term: PretrainingTerm, rows: RowBatches, progress: Progress | None
) -> list[float]:
    """Mean loss of each pass that had anything to learn from."""
    train, epochs = plan.settings.train, plan.settings.pretrain.epochs
    assert train.batch_size is not None and train.learning_rate is not None
    is_large = any(not (is_fixed(one) or one.is_exact) for one in model.encoders.values())  # gradients of much
    size = min(ROWS_AT_ONCE, train.batch_size) if is_large else ROWS_AT_ONCE
    optimizer = make_optimizer(model, train)
    optimizer.add_param_group({"params": [*term.parameters()], "lr": train.learning_rate, "weight_decay": 0.0})
    steps = epochs * math.ceil(len(rows) / size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    shuffle, losses, done = np.random.default_rng(train.seed), [], 0
    model.train_in(getattr(torch, train.precision))
    model.train()
    for epoch in range(epochs):
        seen: list[float] = []
        for chosen in np.array_split(shuffle.permutation(len(rows)), max(1, math.ceil(len(rows) / size))):
            if plan.deadline.stop("pretraining"):
                return losses
            loss = _loss(model, term, to_device(rows.__getitems__(chosen.tolist()), next(model.parameters()).device))
            done += 1
            if loss is None:
                continue
            seen.append(_step(model, term, loss, optimizer, train.max_grad_norm))
            schedule.step()
            if progress is not None:
                progress(done, steps, f"pretraining epoch {epoch + 1}/{epochs}, loss {seen[-1]:.3f}")
        losses += [float(np.mean(seen))] if seen else []
    return losses


def _loss(model: PlaitModel, term: PretrainingTerm, batch: dict[str, Any]) -> Tensor | None:
    """The term of one batch."""
    present = batch["present"]
    encoded = model.encode(batch["inputs"], present)
    step = Step(
        encoded, present, batch["target"], losses=_no_losses, fuse=model.fuse, encoders={}, group_B=batch["group"],
        key_BM=batch["keys"],
    )  # fmt: skip
    frozen = [
        None if dim is None or not term.scalers else _frozen_vector(model, batch["inputs"], m)
        for m, dim in enumerate(term.frozen_dims)
    ]
    found: Tensor | None = term(step, frozen)
    return found


def _no_losses(answers_BMC: Tensor) -> Tensor:
    raise AssertionError("pretraining knows no targets")


def _step(
    model: PlaitModel, term: PretrainingTerm, loss: Tensor, optimizer: torch.optim.Optimizer, longest: float
) -> float:
    """One step of the optimizer; the loss before it."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise RuntimeError(
            f"the loss of pretraining became {value}; lower the learning rate (set=['train.learning_rate=...']), or "
            f"leave it out ({OFF})"
        )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([*model.parameters(), *term.parameters()], longest)
    optimizer.step()
    model.after_step()
    term.after_step()
    return value
