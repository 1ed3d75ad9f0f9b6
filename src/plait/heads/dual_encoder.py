"""The towers head: modalities trained to find each other.

The fusion (``cosine``) maps every modality to unit vectors of one space. This head learns nothing but a temperature
(and a bias, for the sigmoid loss): it trains the towers by a loss of the whole batch, and answers a row with the cosine
of its sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.fusion.base import EncodedDims, FusionOutput
from plait.fusion.calibration import SeenRows
from plait.heads.base import Head
from plait.heads.contrastive import (
    apart,
    contrastive_loss,
    grouped_contrastive_loss,
    hardest_triplet_loss,
    same_items,
    sigmoid_loss,
)
from plait.heads.hub_space import stretch
from plait.heads.hubs import MAX_COHORT, hub_score, with_hubs
from plait.heads.temperature import inverse_temperature, keep_below_ceiling
from plait.registry import unknown_name
from plait.settings import POSITIVES, RETRIEVAL_LOSSES

START_TEMPERATURE = {"infonce": 0.07, "siglip": 0.1, "triplet": 0.07}
START_BIAS = -10.0


class DualEncoderHead(Head):
    """Loss over all pairs of a batch; the output of a row is the mean cosine of its sides, NaN with fewer than two.

    For more than two modalities the loss is the mean over their pairs. Rows take part in a pair of modalities if both
    are there. Rows of one group, or with an item in common, are never negatives of each other.

    Args:
        dims: Widths of the modalities, two or more.
        width: Width D of the shared space.
        num_outputs: Must be 1.
        dropout: Not used; the fusion drops features in front of the towers.
        loss: "infonce", "siglip" (with a learned bias) or "triplet" (hardest negative of the batch, no temperature).
        temperature: Start of the learned temperature, above 0; None: 0.07, and 0.1 for siglip.
        margin: Of the triplet loss, in (0, 2].
        hubs: Whether vectors carry a correction for items that are near to everything (``hubs.py``), learned from the
            training items; it takes 2 coordinates a modality.
        positives: "own": other rows of the group are left out; "group": they are right answers too (infonce only).

    Raises:
        ValueError: Fewer than two modalities, or an option out of its range.

    Needs: a fusion that hands out unit vectors (``cosine``).
    When to use: searching one modality by another; ``matching`` answers yes or no of one pair.
    Relatives: the pair head's alignment term, which is this loss beside a yes-or-no answer.
    Reference: Radford et al. 2021 (CLIP), temperature learned as a logarithm with a ceiling of 100 on its inverse;
        Zhai et al. 2023 (SigLIP); Faghri et al. 2018 (VSE++).
    """

    owns_loss = True

    def __init__(
        self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0, *,
        loss: str = "infonce", temperature: float | None = None, margin: float = 0.2, positives: str = "own",
        hubs: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(dims) < 2 or num_outputs != 1:
            raise ValueError(
                f"the towers head needs two or more modalities and one output, got {len(dims)} and {num_outputs}; "
                "type task='retrieval' on a table with two or more input columns"
            )
        for option, value, allowed in (("task.loss", loss, RETRIEVAL_LOSSES), ("task.positives", positives, POSITIVES)):
            if value not in allowed:
                raise ValueError(unknown_name(option, value, list(allowed)))
        if positives == "group" and loss != "infonce":
            raise ValueError(f"task.positives=group goes with task.loss=infonce, got {loss!r}; leave it out")
        start = START_TEMPERATURE[loss] if temperature is None else temperature
        if not 0.01 <= start < math.inf:
            raise ValueError(f"task.temperature must be 0.01 or more (its inverse has a ceiling of 100), got {start}")
        if not 0 < margin <= 2:
            raise ValueError(f"task.margin must be above 0 and at most 2, a difference of cosines; got {margin}")
        self.loss, self.margin, self.positives = loss, margin, positives
        self.hubs, self.width, self.sides = hubs, width, len(dims)
        for m in range(len(dims) if hubs else 0):
            self.register_buffer(f"cohort_{m}_ND", torch.zeros(0, width))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    @property
    def scale(self) -> Tensor:
        """One over the temperature, at most 100."""
        return inverse_temperature(self.log_scale)

    def after_step(self) -> None:
        """Bring the temperature back under its ceiling."""
        keep_below_ceiling(self.log_scale)

    @property
    def dim(self) -> int:
        """Width of the vectors that ``embed`` gives."""
        return self.width + (2 * self.sides if self.hubs else 0)

    @property
    def plain_dim(self) -> int:
        """Leading coordinates of ``embed`` that, made unit, are the vectors without the correction."""
        return self.width

    @property
    def stretch(self) -> float:
        """By how much inner products of ``embed`` are smaller than cosines."""
        return stretch(self.sides) if self.hubs else 1.0

    def embed(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Unit vectors to search by [B, M, dim], zeros where a side is missing."""
        assert fused.tokens is not None
        if not self.hubs:
            return fused.tokens
        hub_BM = torch.zeros(present_BM.shape, dtype=fused.tokens.dtype, device=fused.tokens.device)
        for m in range(self.sides):
            others = [self.cohort(j) for j in range(self.sides) if j != m and len(self.cohort(j)) > 0]
            for cohort_ND in others:
                hub_BM[:, m] += hub_score(fused.tokens[:, m], cohort_ND) / len(others)
        unit_BMD = with_hubs(fused.tokens, hub_BM)
        return torch.where(present_BM[..., None], unit_BMD, torch.zeros_like(unit_BMD))

    def cohort(self, side: int) -> Tensor:
        """Training items of a side, embedded [N, D]."""
        kept: Tensor = getattr(self, f"cohort_{side}_ND")
        return kept

    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Take the cohorts from training items: different ones, of more than 4,096 so many at even distances."""
        if not self.hubs:
            return
        rows = np.linspace(0, len(train.target) - 1, min(4 * MAX_COHORT, len(train.target))).round().astype(np.int64)
        units, keys = [], []
        for batch in train.batches(rows):
            assert batch.key_BM is not None
            fused = batch.fuse()
            assert fused.tokens is not None
            units.append(fused.tokens)
            keys.append(batch.key_BM.cpu())
        unit_NMD, key_NM = torch.cat(units), torch.cat(keys).numpy()
        for m in range(self.sides):
            there = np.flatnonzero(key_NM[:, m] >= 0)
            first = there[np.sort(np.unique(key_NM[there, m], return_index=True)[1])]
            kept = first[np.linspace(0, len(first) - 1, min(MAX_COHORT, len(first))).round().astype(np.int64)]
            setattr(self, f"cohort_{m}_ND", unit_NMD[torch.from_numpy(kept).to(unit_NMD.device), m].clone())

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """Whether the correction lacks its training items."""
        if not self.hubs or all(len(self.cohort(m)) > 0 for m in range(self.sides)):
            return []
        return ["vectors are not corrected for hubs: that is done together with choosing the epoch, on validation rows"]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """The number of items in a cohort is that of the saved one."""
        for m in range(self.sides if self.hubs else 0):
            saved = state_dict.get(f"{prefix}cohort_{m}_ND")
            if saved is not None:
                setattr(self, f"cohort_{m}_ND", self.cohort(m).new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Return the mean cosine over the pairs of sides that are there [B, 1]; NaN where there is no pair."""
        assert fused.tokens is not None
        pairs = list(combinations(range(present_BM.shape[1]), 2))
        cosine_BP = torch.stack([(fused.tokens[:, a] * fused.tokens[:, b]).sum(1) for a, b in pairs], dim=1)
        there_BP = torch.stack([present_BM[:, a] & present_BM[:, b] for a, b in pairs], dim=1)
        mean_B = torch.where(there_BP, cosine_BP, 0.0).sum(1) / there_BP.sum(1)
        return mean_B[:, None]

    def batch_loss(
        self, fused: FusionOutput, present_BM: Tensor, target: Tensor, group_B: Tensor | None, key_BM: Tensor | None
    ) -> Tensor:
        """The loss over the rows, a scalar; 0 where no two complete rows are there.

        Args:
            fused: The batch, fused.
            present_BM: What is there.
            target: Not used.
            group_B: Rows of one group (captions of one photo) are never negatives of each other.
            key_BM: Item number of each side; an item that occurs twice is never its own negative.
        """
        assert fused.tokens is not None and group_B is not None and key_BM is not None
        unit_BMKD = apart(fused.tokens, fused.copies, fused.fixed)
        terms = []
        for a, b in combinations(range(present_BM.shape[1]), 2):
            both_B = present_BM[:, a] & present_BM[:, b]
            if int(both_B.sum()) >= 2:
                same_BB = same_items(group_B[both_B], key_BM[both_B][:, [a, b]])
                terms += [
                    self.pair_loss(unit_BMKD[both_B, a, k], unit_BMKD[both_B, b, k], same_BB)
                    for k in range(unit_BMKD.shape[2])
                ]
        if not terms:
            return 0.0 * (fused.tokens.sum() + self.log_scale)
        return torch.stack(terms).mean()

    def pair_loss(self, left_BD: Tensor, right_BD: Tensor, same_BB: Tensor) -> Tensor:
        """The chosen loss between two modalities, a scalar."""
        if self.loss == "siglip":
            return sigmoid_loss(left_BD, right_BD, same_BB, self.scale, self.bias)
        if self.loss == "triplet":
            return hardest_triplet_loss(left_BD, right_BD, same_BB, self.margin)
        if self.positives == "group":
            return grouped_contrastive_loss(left_BD, right_BD, same_BB, self.scale)
        return contrastive_loss(left_BD, right_BD, same_BB, self.scale)
