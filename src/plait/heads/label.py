"""The linear head y = W h + b, for classes, label sets and numbers alike.

It is linear on purpose: whatever the modalities do together, the fusion must do.
"""

from __future__ import annotations

from torch import Tensor, nn

from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.base import Head


class LabelHead(Head):
    """One linear layer from the fused vector to the outputs.

    Args:
        dims: Widths of each modality (not used; every head is built alike).
        width: Width D of the fused vector.
        num_outputs: Number of classes, of labels, or 1 for a number.
    """

    is_linear = True

    def __init__(self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(width, num_outputs)

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return logits [B, num_outputs]."""
        logits_BC: Tensor = self.linear(fused.fused_BD)
        return logits_BC
