"""What answers rows with true probabilities: a network or an ensemble behind a calibrator.

It stands wherever the network or ensemble stands: it encodes once a batch, answers under any presence, and gives logits
from which the task's ``activate`` makes calibrated probabilities.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from plait.tasks.calibrators import Calibrator


class CalibratedAnswers(nn.Module):
    """See the module.

    Args:
        answers: A ``PlaitModel`` or an ``Ensemble``.
        calibrator: Fitted on rows it has not seen.
    """

    def __init__(self, answers: nn.Module, calibrator: Calibrator) -> None:
        super().__init__()
        self.inner, self.calibrator = answers, calibrator
        self.train(answers.training)

    @property
    def config(self) -> Any:
        """``num_outputs`` and ``modality_names``."""
        return cast(Any, self.inner).config

    @property
    def task(self) -> Any:
        """The task's record."""
        return cast(Any, self.inner).task

    def encode(self, inputs: Any, present: Tensor) -> Any:
        """What is computed once a batch."""
        return cast(Any, self.inner).encode(inputs, present)

    def answer(self, encoded: Any, present_BM: Tensor) -> Tensor:
        """Calibrated logits [B, C] of an encoded batch under what may be seen of it."""
        return self._calibrated(cast(Any, self.inner).answer(encoded, present_BM))

    def forward(self, inputs: Any, present: Tensor) -> dict[str, Tensor]:
        """Calibrated ``logits`` [B, C] of a batch."""
        return {"logits": self._calibrated(self.inner(inputs=inputs, present=present)["logits"])}

    def _calibrated(self, logits_BC: Tensor) -> Tensor:
        kept_BC = logits_BC.float().double()  # as logits are kept, so that calibrating afterwards gives the same bits
        return torch.from_numpy(self.calibrator.logits(kept_BC.cpu().numpy()))
