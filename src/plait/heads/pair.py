"""The pair head: do these two belong together?

Two linear towers map both modalities to one space; their cosine joins the linear reading of the fused vector. The
towers learn from an alignment term as well: within a batch of right pairs, every other pair is a fresh wrong one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims, FusionOutput, Projection, present_vectors

MAX_LOG_SCALE = math.log(100.0)


class PairHead(nn.Module):
    """logit = s cos(T_1 x_1, T_2 x_2) + w^T h + b for "they match", against 0.

    A row with either side missing is judged by w^T h + b alone.

    Args:
        dims: Widths of the two modalities.
        width: Width D of the fused vector and of the shared space.
        num_outputs: Must be 2 (no, yes).
        dropout: Feature dropout in front of the towers, in [0, 1).

    Raises:
        ValueError: Not two modalities, or not two outputs.

    Reference: Radford et al. 2021 (CLIP), the symmetric cross-entropy; temperature ceiling of 100 likewise.
    """

    is_linear = False

    def __init__(self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        if len(dims) != 2 or num_outputs != 2:
            raise ValueError(
                f"the pair head joins two modalities into two outputs, got {len(dims)} modalities and {num_outputs} "
                "outputs; use head 'label' (--set task.head=label)"
            )
        self.towers = nn.ModuleList(Projection(d.vector_dim, width, normalise=True, dropout=dropout) for d in dims)
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def embed(self, encoded: list[Encoded], present_BM: Tensor) -> list[Tensor]:
        """Both sides in the shared space, unit length, [B, width] each."""
        vectors = present_vectors(encoded, present_BM)
        return [functional.normalize(t(v), dim=-1) for t, v in zip(self.towers, vectors, strict=True)]

    def forward(self, fused: FusionOutput, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Return logits [B, 2] whose softmax is (no, yes)."""
        left_BD, right_BD = self.embed(encoded, present_BM)
        cosine_B = (left_BD * right_BD).sum(1)
        cosine_B = torch.where(present_BM.all(1), cosine_B, torch.zeros_like(cosine_B))
        score_B = self.scale * cosine_B + self.linear(fused.fused_BD).squeeze(1)
        score_B = self.calibration[0] * score_B + self.calibration[1]
        return torch.stack([-score_B / 2, score_B / 2], dim=1)

    def calibrate(self, slope: float, shift: float) -> None:
        """Set the affine map of the score, fitted on validation pairs after training."""
        self.calibration.copy_(torch.tensor([slope, shift]))

    def alignment_loss(self, encoded: list[Encoded], present_BM: Tensor, group_B: Tensor, key_BM: Tensor) -> Tensor | None:
        """Symmetric cross-entropy over the batch of right pairs.

        Args:
            encoded: The two modalities of right pairs.
            present_BM: What is there.
            group_B: Pairs of one group (captions of one photo) are never negatives of each other.
            key_BM: Item number of each side; an item that occurs twice is never its own negative.

        Returns:
            A scalar, or None when fewer than two complete pairs are there.
        """
        complete_B = present_BM.all(1)
        if int(complete_B.sum()) < 2:
            return None
        left_BD, right_BD = (side[complete_B] for side in self.embed(encoded, present_BM))
        group_B, key_BM = group_B[complete_B], key_BM[complete_B]
        same_BB = group_B[:, None] == group_B[None]
        for m in range(2):
            same_BB = same_BB | (key_BM[:, m, None] == key_BM[None, :, m])
        same_BB.fill_diagonal_(False)
        logits_BB = self.log_temperature.clamp(max=MAX_LOG_SCALE).exp() * left_BD @ right_BD.T
        logits_BB = logits_BB.masked_fill(same_BB, -1e9)
        truth_B = torch.arange(len(logits_BB), device=logits_BB.device)
        return (functional.cross_entropy(logits_BB, truth_B) + functional.cross_entropy(logits_BB.T, truth_B)) / 2
