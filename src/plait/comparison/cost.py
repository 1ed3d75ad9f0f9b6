"""What a method costs beside what it scores: parameters, memory of one training step, milliseconds a row.

A trained model and its rows come in, numbers go out. Memory on a CPU is counted, not sampled, and so is the same on
every run: weights, gradients, the optimiser's state, and every tensor that autograd keeps for the backward pass of
one batch. On an accelerator it is the peak that was allocated during one whole step. Frozen encoders are outside the
model and cost every method the same, so they are left out.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch

from plait.heads.language import DecodeOptions
from plait.inference.forward import predict_logits, to_device
from plait.inference.generation import write_rows
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel
from plait.training import Plan
from plait.training.optimizer import make_optimizer

TIMED_ROWS = 1000
TIMED_REPEATS = 3
WRITTEN_ROWS = 100


def count_parameters(model: PlaitModel) -> dict[str, int]:
    """Trained parameters that run at inference: fusion, head and the adapters of auxiliary objectives; and of encoders.

    What an objective needs in training alone (auxiliary heads, the space of an alignment term) is not counted.
    """
    parts: dict[str, torch.nn.Module] = {"fusion": model.fusion, "head": model.head, "encoders": model.encoders}
    if model.aids is not None:
        parts["adapters"] = model.aids.adapters
    trained = {name: sum(p.numel() for p in part.parameters() if p.requires_grad) for name, part in parts.items()}
    encoders = trained.pop("encoders")
    return {"parameters": sum(trained.values()), "encoder_parameters": encoders}


def training_memory(model: PlaitModel, plan: Plan, rows: RowBatches) -> tuple[int, str]:
    """Bytes that one training step needs, and how they were found ("counted" or "measured").

    Args:
        model: The model; its weights do not change.
        plan: Its plan.
        rows: Training rows, with targets.
    """
    size = plan.settings.train.batch_size
    assert size is not None
    batch = rows.__getitems__(list(range(min(size, len(rows)))))
    trial = copy.deepcopy(model).train(True)
    device = next(trial.parameters()).device
    moved = to_device(batch, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if device.type == "cuda":
            return _peak(trial, plan, moved, device), "measured"
        return _counted(trial, plan, moved), "counted"


def _counted(model: PlaitModel, plan: Plan, batch: dict[str, Any]) -> int:
    parameters = list(model.parameters())
    own = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    # The graph holds what it saved until the loss is gone, so no address is used twice.
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(**batch)["loss"]
    activations = sum(saved.values())
    del loss
    weights = sum(p.nbytes for p in parameters) + sum(b.nbytes for b in model.buffers())
    gradients = sum(p.nbytes for p in parameters if p.requires_grad)
    settings = plan.settings.train
    copies = 2 if settings.optimizer == "adamw" else 1 if settings.momentum else 0
    return int(weights + gradients + copies * gradients + activations)


def _peak(model: PlaitModel, plan: Plan, batch: dict[str, Any], device: torch.device) -> int:
    weights = sum(p.nbytes for p in model.parameters()) + sum(b.nbytes for b in model.buffers())
    optimizer = make_optimizer(model, plan.settings.train)
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    model(**batch)["loss"].backward()
    optimizer.step()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before + weights)


def inference_ms(model: PlaitModel, plan: Plan, rows: RowBatches) -> float:
    """Milliseconds for 1,000 rows from stored features, the best of three passes over at most 1,000 rows.

    Texts are written as they are evaluated; one pass over at most 100 rows, each of which takes many steps.
    """
    writes = plan.task.family.writes
    size = min(WRITTEN_ROWS if writes else TIMED_ROWS, len(rows))
    timed = RowBatches(rows.sources, rows.index_NM[np.arange(size)])
    language = plan.settings.language
    options = DecodeOptions(beams=language.beams or 1, max_new_tokens=language.max_tokens) if writes else None
    seconds = []
    for _ in range(1 if writes else TIMED_REPEATS):
        started = time.perf_counter()
        if options is None:
            predict_logits(model, timed)
        else:
            write_rows(model, timed, plan.labels.tokens, options)
        seconds.append(time.perf_counter() - started)
    return min(seconds) * 1000.0 * 1000.0 / size
