"""Auxiliary heads: each modality alone must answer the task too, beside the joint answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import EncodedDims, Projection
from plait.objectives.base import OBJECTIVES, ObjectiveInfo


class AuxiliaryHeads(nn.Module):
    """L = L_joint + lambda (1/M) sum_m L_m, L_m = mean task loss of W_m norm(x_m) + b_m over the rows that have m.

    Joint training stops teaching a modality once another one has explained the training rows; a loss of its own keeps
    each one learning. The heads serve training alone; the answer of the model stays the joint one.

    Args:
        dims: Widths of each modality.
        num_outputs: Number of classes, of labels, or 1 for a number.

    Needs: two modalities; any task.
    When to use: when a modality does well alone and adds little in the joint model.
    Relatives: ``gradient_blending`` sets the weights of the same losses from validation rows; a late fusion has such
        heads of its own and averages them into the answer.
    Reference: Du et al. 2023 (uni-modal ensemble and teacher; here the heads alone, no distillation).
    """

    def __init__(self, dims: list[EncodedDims], num_outputs: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Projection(d.vector_dim, num_outputs, normalise=True, dropout=0.0) for d in dims)

    def forward(self, vectors: list[Tensor]) -> Tensor:
        """Answers of each modality alone [B, M, C]."""
        return torch.stack([head(v) for head, v in zip(self.heads, vectors, strict=True)], dim=1)


OBJECTIVES.add("auxiliary", ObjectiveInfo("auxiliary", "Du et al. 2023", "L = L_joint + lambda mean_m L_m", usual=0.3))
