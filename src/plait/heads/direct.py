"""The head of a late fusion: the joint answer is made already, nothing is left to learn."""

from __future__ import annotations

from torch import Tensor

from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.base import Head


class DirectHead(Head):
    """Hands the fused logits on.

    Args:
        dims: Widths of each modality (not used; every head is built alike).
        width: Width of the fused vector; a late fusion makes it the number of outputs.
        num_outputs: Number of classes, of labels, or 1 for a number.
        dropout: Not used.

    Raises:
        ValueError: The fused vector is not as wide as the outputs: the fusion before it is no late one.
    """

    is_linear = True

    def __init__(self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width != num_outputs:
            raise ValueError(
                f"the direct head needs a late fusion, whose vector is as wide as the {num_outputs} outputs; got "
                f"width {width}; use head 'label'"
            )

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return logits [B, num_outputs]."""
        return fused.fused_BD
