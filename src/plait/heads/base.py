"""The contract of heads: the fused row in, the outputs of a task out; some learn by a loss of their own."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from plait.fusion.base import FusionOutput


class Head(nn.Module):
    """Base of all heads.

    Attributes:
        is_linear: Whether the outputs are one linear layer of the fused vector.
        owns_loss: Whether training uses ``batch_loss`` in place of the task's loss of each row.
    """

    is_linear: ClassVar[bool] = False
    owns_loss: ClassVar[bool] = False

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return the outputs of each row [B, C]."""
        raise NotImplementedError

    def answers(self, fused: FusionOutput, present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs [B, C], and what the task's loss is taken of: the same here, or [B, K, C] of k members."""
        outputs_BC: Tensor = self(fused, present_BM)
        return outputs_BC, outputs_BC

    def after_step(self) -> None:
        """Called after each optimizer step: bring parameters back into their range; here nothing."""

    def batch_loss(
        self, fused: FusionOutput, present_BM: Tensor, target: Tensor, group_B: Tensor | None, key_BM: Tensor | None
    ) -> Tensor:
        """Loss of a whole batch, a scalar; only where ``owns_loss``.

        Args:
            fused: The batch, fused.
            present_BM: What is there.
            target: Encoded targets.
            group_B: Group number of each row.
            key_BM: Item number of each modality.
        """
        raise NotImplementedError

    def alignment_loss(
        self, fused: FusionOutput, present_BM: Tensor, group_B: Tensor, key_BM: Tensor, right_B: Tensor
    ) -> Tensor | None:
        """A term that pulls right pairs together, weighed by ``train.alignment``; None where there is none."""
        return None
