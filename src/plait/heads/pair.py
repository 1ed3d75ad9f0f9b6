"""The pair head: do these two belong together?

It reads the cosine of the two sides, which the ``cosine`` fusion maps to one space. The sides learn from an alignment
term as well: within a batch of right pairs, every other pair is a fresh wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from plait.fusion.base import EncodedDims, FusionOutput
from plait.fusion.calibration import SeenRows

MAX_LOG_SCALE = math.log(100.0)


class PairHead(nn.Module):
    """logit = s cos(u_1, u_2) + b for "they match", against 0; calibrated on validation pairs after training.

    A row with either side missing has cos = 0.

    Args:
        dims: Widths of the two modalities.
        width: Width D of the shared space.
        num_outputs: Must be 2 (no, yes).
        dropout: Not used; the fusion drops features in front of the towers.

    Raises:
        ValueError: Not two modalities, or not two outputs.

    Needs: a fusion that hands out unit vectors (``cosine``).
    Reference: Radford et al. 2021 (CLIP), the symmetric cross-entropy; temperature ceiling of 100 likewise.
    """

    is_linear = False
    calibration: Tensor
    left_mean_D: Tensor  # noqa: N815  shape letters
    right_mean_D: Tensor  # noqa: N815
    left_covariance_DD: Tensor  # noqa: N815
    right_covariance_DD: Tensor  # noqa: N815

    def __init__(self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        if len(dims) != 2 or num_outputs != 2:
            raise ValueError(
                f"the pair head joins two modalities into two outputs, got {len(dims)} modalities and "
                f"{num_outputs} outputs; use head 'label' (--set task.head=label)"
            )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0, 0.0, 0.0]))
        for side in ("left", "right"):
            self.register_buffer(f"{side}_mean_D", torch.zeros(width))
            self.register_buffer(f"{side}_covariance_DD", torch.eye(width))

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return logits [B, 2] whose softmax is (no, yes)."""
        if self.training:
            score_B = self.raw(fused)
        else:
            score_B = self.evidence(fused, present_BM) @ self.calibration[:3] + self.calibration[3]
        return torch.stack([-score_B / 2, score_B / 2], dim=1)

    def raw(self, fused: FusionOutput) -> Tensor:
        """The score that training moves, s cos + b [B]."""
        left_BD, right_BD = sides(fused)
        raw_B: Tensor = self.scale * (left_BD * right_BD).sum(1) + self.bias
        return raw_B

    def evidence(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """What the calibrated score is made of [B, 3]: the raw score, and the cosine as each side's cohort sees it.

        A bland caption is near to every photo, a sharp one to none. The second number says how far the cosine
        lies above what the left item gives with the training items of the right side, in standard deviations;
        the third the other way round (S-norm: Auckenthaler, Carey, Lloyd-Thomas 2000, with both moments in
        closed form).
        """
        left_BD, right_BD = sides(fused)
        cosine_B = (left_BD * right_BD).sum(1)
        both_B = present_BM.all(1)
        seen = [self.raw(fused)]
        for item_BD, mean_D, covariance_DD in (
            (left_BD, self.right_mean_D, self.right_covariance_DD),
            (right_BD, self.left_mean_D, self.left_covariance_DD),
        ):
            spread_B = ((item_BD @ covariance_DD) * item_BD).sum(1).clamp(min=1e-12).sqrt()
            seen.append(torch.where(both_B, (cosine_B - item_BD @ mean_D) / spread_B, torch.zeros_like(cosine_B)))
        return torch.stack(seen, dim=1)

    @torch.no_grad()
    def set_cohort(self, left_ND: Tensor, right_ND: Tensor) -> None:
        """Take mean and covariance of embedded training items of each side."""
        for side, items_ND in (("left", left_ND), ("right", right_ND)):
            mean_D = items_ND.mean(0)
            centred_ND = items_ND - mean_D
            getattr(self, f"{side}_mean_D").copy_(mean_D)
            getattr(self, f"{side}_covariance_DD").copy_(centred_ND.T @ centred_ND / len(items_ND))

    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Fit cohort moments on training items, then four weights on validation pairs.

        Training sees its own pairs as nearer than new pairs are, so a threshold learned there is too high for new
        ones (Platt 1999: a logistic regression on held-out scores).
        """
        if len(np.unique(val.target)) < 2 or not (train.target == 1).any():
            return
        parts = []
        for batch in train.batches(np.flatnonzero(train.target == 1)):
            complete_B = batch.present_BM.all(1)
            parts.append([side[complete_B] for side in sides(batch.fuse())])
        self.set_cohort(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
        seen = [self.evidence(batch.fuse(), batch.present_BM) for batch in val.batches()]
        evidence = torch.cat(seen).double().cpu().numpy()
        spread = evidence.std(0)
        spread[spread == 0] = 1.0
        fitted = LogisticRegression(C=100.0).fit(evidence / spread, val.target)
        self.calibrate([*(fitted.coef_[0] / spread), float(fitted.intercept_[0])])

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """Whether the score is not calibrated."""
        if self.calibration.tolist() != [1.0, 0.0, 0.0, 0.0]:
            return []
        return [
            "the pair head is not calibrated: that takes validation pairs that match and others that do not, and "
            "training pairs that match"
        ]

    def calibrate(self, weights: Sequence[float]) -> None:
        """Set the weights of the numbers of ``evidence`` and the constant, fitted on validation pairs."""
        self.calibration.copy_(torch.tensor(list(weights), dtype=self.calibration.dtype))

    def alignment_loss(
        self, fused: FusionOutput, present_BM: Tensor, group_B: Tensor, key_BM: Tensor, right_B: Tensor
    ) -> Tensor | None:
        """Symmetric cross-entropy over the right pairs of a batch.

        Args:
            fused: The batch, fused.
            present_BM: What is there.
            group_B: Pairs of one group (captions of one photo) are never negatives of each other.
            key_BM: Item number of each side; an item that occurs twice is never its own negative.
            right_B: True for right pairs; the others take no part.

        Returns:
            A scalar, or None when fewer than two complete right pairs are there.
        """
        chosen_B = present_BM.all(1) & right_B
        if int(chosen_B.sum()) < 2:
            return None
        left_BD, right_BD = (side[chosen_B] for side in sides(fused))
        same_BB = same_items(group_B[chosen_B], key_BM[chosen_B])
        return contrastive_loss(left_BD, right_BD, same_BB, self.log_temperature.clamp(max=MAX_LOG_SCALE).exp())


def same_items(group_B: Tensor, key_BM: Tensor) -> Tensor:
    """Which rows are no negatives of each other [B, B]: of one group, or with an item in common; diagonal False."""
    same_BB = group_B[:, None] == group_B[None]
    for m in range(key_BM.shape[1]):
        same_BB = same_BB | (key_BM[:, m, None] == key_BM[None, :, m])
    return same_BB.fill_diagonal_(False)


def contrastive_loss(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of scaled cosines: row i of one side belongs to row i of the other, a scalar.

    Args:
        left_BD: Unit vectors of one side.
        right_BD: Unit vectors of the other.
        same_BB: Pairs of rows to leave out of the negatives.
        scale: One over the temperature.
    """
    logits_BB = (scale * left_BD @ right_BD.T).masked_fill(same_BB, -1e9)
    truth_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (functional.cross_entropy(logits_BB, truth_B) + functional.cross_entropy(logits_BB.T, truth_B)) / 2


def sides(fused: FusionOutput) -> tuple[Tensor, Tensor]:
    """The two unit vectors of each row [B, D]; zeros where a side is missing."""
    assert fused.tokens is not None
    return fused.tokens[:, 0], fused.tokens[:, 1]
