"""LoRA of a vision-language model through the project's trainer: the loss is that of the answers' tokens alone.

The network stays in evaluation mode while its additions learn, so that what is learned is what is asked later: the loss
is the mean negative of the very log-probabilities by which answers are scored. Checkpoints, and the best epoch that is
kept in memory, hold the additions and not the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from plait.data.progress import Progress
from plait.inference.vision_language import VisionLanguageNetwork
from plait.inference.vision_language.adapter import adapter_tensors, set_adapter_tensors
from plait.inference.vision_language.scoring import token_logs
from plait.settings import TrainSettings
from plait.training.deadline import Deadline
from plait.training.history import History
from plait.training.trainer import train_model
from plait.training.vision_language.batches import AnswerBatches


def train_adapter(
    network: VisionLanguageNetwork, rows: AnswerBatches, settings: TrainSettings, folder: Path, *,
    validation: AnswerBatches | None = None, resume: bool = False, checkpoints: bool = True,
    progress: Progress | None = None, deadline: Deadline | None = None,
) -> History:  # fmt: skip
    """Train the additions of a network in place; it ends with those of the epoch of least validation loss.

    Args:
        network: The network, which has additions.
        rows: Training rows.
        settings: Resolved settings.
        folder: Where checkpoints live while the run lasts.
        validation: Rows whose loss chooses the epoch; None: the last one stands.
        resume: Go on from the last whole checkpoint.
        checkpoints: Write one each epoch.
        progress: As ``train_model``.
        deadline: As ``train_model``.

    Raises:
        RuntimeError: The loss is not finite.
    """

    def score(_: Any) -> dict[str, float]:
        assert validation is not None
        loss = mean_loss(network, validation)
        return {"loss": loss, "score": -loss}

    return train_model(
        cast(Any, _Learner(network)), cast(Any, rows), replace(settings, batch_size=1), folder,  # an item is a batch
        score=None if validation is None else score, resume=resume, checkpoints=checkpoints, progress=progress,
        deadline=deadline,
    )  # fmt: skip


@torch.inference_mode()
def mean_loss(network: VisionLanguageNetwork, rows: AnswerBatches) -> float:
    """Mean negative log-probability (natural) of the answers' tokens, ends included."""
    total, count = 0.0, 0
    for number in range(len(rows)):
        batch = rows[number]
        inputs = {name: network.moved(value) for name, value in batch["inputs"].items()}
        logs_BL = token_logs(network.model, inputs, batch["answer"], batch["real"])
        total -= float(logs_BL[batch["real"].bool().to(logs_BL.device)].double().sum())
        count += int(batch["real"].sum())
    return total / max(1, count)


class _NoFusion:
    """What the trainer tells a fusion, for a network that has none."""

    progress = 0.0

    def after_training(self) -> None:
        """Nothing is left to do."""


class _Learner(nn.Module):
    """A network with additions, as the trainer takes a model; its state is that of the additions."""

    dropout_share = 1.0

    def __init__(self, network: VisionLanguageNetwork) -> None:
        super().__init__()
        self.model = network.model
        self.network, self.fusion, self.compute_dtype = network, _NoFusion(), torch.float32
        self.encoders: dict[str, nn.Module] = {}

    def forward(self, inputs: dict[str, Any], answer: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The mean negative log-probability of the answers' real tokens; requests and padding have no part in it."""
        moved = {name: self.network.moved(value) for name, value in inputs.items()}
        half = self.compute_dtype != torch.float32
        with torch.autocast(self.network.device.type, dtype=torch.bfloat16, enabled=half):
            logs_BL = token_logs(self.model, moved, answer, real)
        return {"loss": -logs_BL[real.bool()].mean()}

    def train(self, mode: bool = True) -> _Learner:
        """Nothing changes: the network stays in evaluation mode."""
        return self

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The additions alone."""
        return adapter_tensors(self.model)

    def load_state_dict(self, state: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Take up what ``state_dict`` gave."""
        set_adapter_tensors(self.model, state)
        return nn.modules.module._IncompatibleKeys([], [])

    def train_in(self, dtype: torch.dtype) -> None:
        """Choose what it multiplies in while training."""
        self.compute_dtype = dtype

    def learns_gently(self, _: str) -> bool:
        """Nothing of the network itself learns."""
        return False

    def before_step(self) -> None:
        """Nothing acts on a step."""

    def after_step(self) -> None:
        """Nothing acts on a step."""
