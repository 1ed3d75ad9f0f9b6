"""The one evaluation loop: a model over rows, batch by batch, without gradients and in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plait.inputs.dataset import RowBatches


def predict_logits(
    model: torch.nn.Module,
    batches: RowBatches,
    *,
    batch_size: int = 512,
    progress: Callable[[int, int, str], None] | None = None,
    what: str = "predicting",
    hide: tuple[int, ...] = (),
) -> np.ndarray:
    """Logits of every row, in row order [N, C], float32.

    Args:
        model: A ``PlaitModel``; its training mode is restored.
        batches: The rows.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.
        hide: Modality numbers to treat as missing in every row.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    try:
        with torch.inference_mode():
            for start in range(0, len(batches), batch_size):
                rows = list(range(start, min(start + batch_size, len(batches))))
                batch = batches.__getitems__(rows)
                for m in hide:
                    batch["present"][:, m] = False
                inputs = {n: {k: t.to(device) for k, t in v.items()} for n, v in batch["inputs"].items()}
                output = model(inputs=inputs, present=batch["present"].to(device))
                parts.append(output["logits"].float().cpu().numpy())
                if progress is not None:
                    progress(rows[-1] + 1, len(batches), what)
    finally:
        model.train(was_training)
    num_outputs = cast(Any, model.config).num_outputs
    return np.concatenate(parts) if parts else np.zeros((0, num_outputs), dtype=np.float32)


def predict_present(
    model: torch.nn.Module,
    batches: RowBatches,
    present_PNM: np.ndarray,
    *,
    batch_size: int = 512,
    progress: Callable[[int, int, str], None] | None = None,
    what: str = "predicting",
) -> np.ndarray:
    """Logits of every row under each of several patterns of presence, [P, N, C], float32; rows are encoded once.

    Args:
        model: A ``PlaitModel``; its training mode is restored.
        batches: The rows.
        present_PNM: What may be seen of each row, bool; what a row lacks stays missing.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.
    """
    network = cast(Any, model)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits_PNC = np.zeros((*present_PNM.shape[:2], network.config.num_outputs), dtype=np.float32)
    try:
        with torch.inference_mode():
            for start in range(0, len(batches), batch_size):
                stop = min(start + batch_size, len(batches))
                batch = batches.__getitems__(list(range(start, stop)))
                inputs = {n: {k: t.to(device) for k, t in v.items()} for n, v in batch["inputs"].items()}
                there_BM = batch["present"].to(device)
                encoded = network.encode(inputs, there_BM)
                for p, allowed_NM in enumerate(present_PNM):
                    seen_BM = there_BM & torch.tensor(allowed_NM[start:stop], device=device)
                    logits_PNC[p, start:stop] = (
                        network.head(network.fuse(encoded, seen_BM), seen_BM).float().cpu().numpy()
                    )
                if progress is not None:
                    progress(stop, len(batches), what)
    finally:
        model.train(was_training)
    return logits_PNC


def head_losses(model: torch.nn.Module, rows: RowBatches, *, batch_size: int = 512) -> Tensor:
    """Task loss over these rows of each modality's auxiliary head, then of the joint answer, [M + 1].

    Args:
        model: A ``PlaitModel`` with auxiliary heads; its training mode is restored.
        rows: Rows with targets.
        batch_size: Rows at once.
    """
    network = cast(Any, model)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for start in range(0, len(rows), batch_size):
                batch = rows.__getitems__(list(range(start, min(start + batch_size, len(rows)))))
                inputs = {n: {k: t.to(device) for k, t in v.items()} for n, v in batch["inputs"].items()}
                present, target = batch["present"].to(device), batch["target"].to(device)
                encoded = network.encode(inputs, present)
                joint_BC = network.head(network.fuse(encoded, present), present)
                parts.append((network.aids.auxiliary([e.vector_BD for e in encoded]), joint_BC, present, target))
            answers_NMC, joint_NC, present_NM, target_N = (torch.cat(column) for column in zip(*parts, strict=True))
            whole_N1 = torch.ones_like(present_NM[:, :1])
            losses_M = network.modality_losses(answers_NMC, present_NM, target_N, network.task.loss)
            joint_1 = network.modality_losses(joint_NC[:, None], whole_N1, target_N, network.row_loss)
            losses = torch.cat([losses_M, joint_1])
    finally:
        model.train(was_training)
    return losses
