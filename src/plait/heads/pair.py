"""The pair head: do these two belong together?

It reads the cosine of the two sides, which the ``cosine`` fusion maps to one space. The sides learn from an alignment
term as well: within a batch of right pairs, every other pair is a fresh wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.fusion.base import EncodedDims, FusionOutput
from plait.fusion.calibration import SeenRows
from plait.heads.base import Head
from plait.heads.contrastive import apart, contrastive_loss, same_items, sides
from plait.heads.temperature import inverse_temperature, keep_below_ceiling

NEIGHBOURS = 10
MAX_COHORT = 4096
COHORTS = ("left_cohort_ND", "right_cohort_ND")


class PairHead(Head):
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

    calibration: Tensor
    left_cohort_ND: Tensor  # noqa: N815  shape letters
    right_cohort_ND: Tensor  # noqa: N815

    def __init__(self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        if len(dims) != 2 or num_outputs != 2:
            raise ValueError(
                f"the pair head joins two modalities into two outputs, got {len(dims)} modalities and "
                f"{num_outputs} outputs; use head 'label' (set=['task.head=label'])"
            )
        self.log_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0, 0.0, 0.0]))
        for name in COHORTS:
            self.register_buffer(name, torch.zeros(0, width))

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

        A bland caption is near to every photo, a sharp one to none. The second number says how far the cosine lies
        above the mean cosine of the left item with its ten nearest training items of the right side; the third the
        other way round (CSLS: Conneau, Lample, Ranzato, Denoyer, Jegou 2018, section 2.3, its two terms apart).
        """
        left_BD, right_BD = sides(fused)
        cosine_B = (left_BD * right_BD).sum(1)
        both_B = present_BM.all(1)
        seen = [self.raw(fused)]
        for item_BD, cohort_ND in ((left_BD, self.right_cohort_ND), (right_BD, self.left_cohort_ND)):
            if len(cohort_ND) == 0:
                seen.append(torch.zeros_like(cosine_B))
                continue
            near_BK = (item_BD @ cohort_ND.T).topk(min(NEIGHBOURS, len(cohort_ND)), dim=1).values
            seen.append(torch.where(both_B, cosine_B - near_BK.mean(1), torch.zeros_like(cosine_B)))
        return torch.stack(seen, dim=1)

    @torch.no_grad()
    def set_cohort(self, left_ND: Tensor, right_ND: Tensor) -> None:
        """Keep embedded training items of each side; of more than 4,096, so many at even distances."""
        for name, items_ND in zip(COHORTS, (left_ND, right_ND), strict=True):
            kept = torch.linspace(0, len(items_ND) - 1, min(MAX_COHORT, len(items_ND))).round().long()
            setattr(self, name, items_ND[kept.to(items_ND.device)].clone())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """The number of items in a cohort is that of the saved one."""
        for name in COHORTS:
            saved = state_dict.get(prefix + name)
            if saved is not None:
                own = getattr(self, name)
                setattr(self, name, own.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Take the cohorts from training items, then fit four weights on validation pairs.

        Training sees its own pairs as nearer than new pairs are, so a threshold learned there is too high for new
        ones (Platt 1999: a logistic regression on held-out scores).
        """
        if len(np.unique(val.target)) < 2 or not (train.target == 1).any():
            return
        right = np.flatnonzero(train.target == 1)
        right = right[np.linspace(0, len(right) - 1, min(4 * MAX_COHORT, len(right))).round().astype(np.int64)]
        parts = []
        for batch in train.batches(right):
            assert batch.key_BM is not None
            complete_B = batch.present_BM.all(1)
            keys_BM = batch.key_BM[complete_B.to(batch.key_BM.device)]
            parts.append((*(side[complete_B] for side in sides(batch.fuse())), keys_BM))
        left_ND, right_ND, keys_NM = (torch.cat(columns) for columns in zip(*parts, strict=True))
        if len(keys_NM) == 0:
            return
        first = [np.sort(np.unique(keys_NM[:, m].cpu().numpy(), return_index=True)[1]) for m in range(2)]
        self.set_cohort(left_ND[torch.from_numpy(first[0])], right_ND[torch.from_numpy(first[1])])
        from sklearn.linear_model import LogisticRegression  # seconds to import, and only training needs it

        seen = [self.evidence(batch.fuse(), batch.present_BM) for batch in val.batches()]
        evidence = torch.cat(seen).double().cpu().numpy()
        std = evidence.std(0)
        std[std == 0] = 1.0
        fitted = LogisticRegression(C=100.0).fit(evidence / std, val.target)
        self.calibrate([*(fitted.coef_[0] / std), float(fitted.intercept_[0])])

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """Whether the score is not calibrated."""
        if self.calibration.tolist() != [1.0, 0.0, 0.0, 0.0]:
            return []
        return [
            "the pair head is not calibrated: that takes validation pairs that match and others that do not, and "
            "training pairs that match"
        ]

    def after_step(self) -> None:
        """Bring the temperature of the alignment term back under its ceiling."""
        keep_below_ceiling(self.log_temperature)

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
        left_BKD, right_BKD = (apart(side[chosen_B], fused.copies, fused.fixed) for side in sides(fused))
        same_BB = same_items(group_B[chosen_B], key_BM[chosen_B])
        scale = inverse_temperature(self.log_temperature)
        terms = [contrastive_loss(left_BKD[:, k], right_BKD[:, k], same_BB, scale) for k in range(left_BKD.shape[1])]
        return torch.stack(terms).mean()
