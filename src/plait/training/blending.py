"""What gradient blending looks at after each epoch: the task loss of each modality's auxiliary head and of the joint
answer, on training rows and on validation rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches, Source
from plait.model import PlaitModel
from plait.training.plan import Plan

MEASURED_AT_MOST = 8192  # training rows whose loss gradient blending measures after each epoch


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


def head_losses(model: torch.nn.Module, rows: RowBatches, *, batch_size: int = 512) -> Tensor:
    """Task loss over these rows of each modality's auxiliary head, then of the joint answer, [M + 1].

    Args:
        model: A ``PlaitModel`` with auxiliary heads; its training mode is restored.
        rows: Rows with targets.
        batch_size: Rows at once.
    """
    network = cast(Any, model)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    with evaluation_mode(model, inference=False):
        for _, batch in evaluation_batches(model, rows, batch_size=batch_size):
            present = batch["present"]
            encoded = network.encode(batch["inputs"], present)
            joint_BC = network.head(network.fuse(encoded, present), present)
            answers_BMC = network.aids.auxiliary([e.vector_BD for e in encoded])
            parts.append((answers_BMC, joint_BC, present, batch["target"]))
        answers_NMC, joint_NC, present_NM, target_N = (torch.cat(column) for column in zip(*parts, strict=True))
        whole_N1 = torch.ones_like(present_NM[:, :1])
        losses_M = network.modality_losses(answers_NMC, present_NM, target_N, network.task.loss)
        joint_1 = network.modality_losses(joint_NC[:, None], whole_N1, target_N, network.row_loss)
        return torch.cat([losses_M, joint_1])
