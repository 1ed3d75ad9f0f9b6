"""The towers head: modalities trained to find each other.

The fusion (``cosine``) maps every modality to unit vectors of one space. This head learns nothing but a temperature
(and a bias, for the sigmoid loss): it trains the towers by a loss of the whole batch, and answers a row with the cosine
of its sides.
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor, nn

from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.base import Head
from plait.heads.contrastive import (
    contrastive_loss,
    grouped_contrastive_loss,
    hardest_triplet_loss,
    same_items,
    sigmoid_loss,
)
from plait.heads.gather import gather_rows
from plait.registry import unknown_name
from plait.settings import POSITIVES, RETRIEVAL_LOSSES

MAX_LOG_SCALE = math.log(100.0)
START_TEMPERATURE = {"infonce": 0.07, "siglip": 0.1, "triplet": 0.07}
START_BIAS = -10.0


class TowerHead(Head):
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
    ) -> None:  # fmt: skip
        super().__init__()
        if len(dims) < 2 or num_outputs != 1:
            raise ValueError(
                f"the towers head needs two or more modalities and one output, got {len(dims)} and {num_outputs}; "
                "type --task retrieval on a table with two or more input columns"
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
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    @property
    def scale(self) -> Tensor:
        """One over the temperature, at most 100."""
        return self.log_scale.clamp(max=MAX_LOG_SCALE).exp()

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
        """The loss over the rows of all processes, a scalar; 0 where no two complete rows are there.

        Args:
            fused: The batch, fused.
            present_BM: What is there.
            target: Not used.
            group_B: Rows of one group (captions of one photo) are never negatives of each other.
            key_BM: Item number of each side; an item that occurs twice is never its own negative.
        """
        assert fused.tokens is not None and group_B is not None and key_BM is not None
        unit_BMD = gather_rows(fused.tokens)
        present_BM, group_B, key_BM = gather_rows(present_BM), gather_rows(group_B), gather_rows(key_BM)
        terms = []
        for a, b in combinations(range(present_BM.shape[1]), 2):
            both_B = present_BM[:, a] & present_BM[:, b]
            if int(both_B.sum()) >= 2:
                same_BB = same_items(group_B[both_B], key_BM[both_B][:, [a, b]])
                terms.append(self.pair_loss(unit_BMD[both_B, a], unit_BMD[both_B, b], same_BB))
        if not terms:
            return 0.0 * (unit_BMD.sum() + self.log_scale)
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
