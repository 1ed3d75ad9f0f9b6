"""Weighted sum: every modality is projected to one width, then summed with learned convex weights.

The founding recipe's fusion. Followed by a linear head it is additive: it cannot represent any interaction
between modalities, whatever its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, masked_softmax, present_vectors


class WeightedSumFusion(Fusion):
    """h = sum_m alpha_m (W_m x_m + b_m), alpha = softmax(a) over the modalities present.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        raw: Use the two-modality form h = alpha h_1 + (1 - alpha) h_2 with one unconstrained alpha, starting
            at 0.5. A row with one modality missing takes the other whole.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: as a baseline that shows what the modalities give without interacting.
    Relatives: ``concat`` with ``hidden_layers=0`` has the same function class; ``gated`` makes the weights
    depend on the row.
    Reference: Baltrusaitis, Ahuja, Morency 2019 (survey); Arevalo et al. 2017 (linear sum baseline).
    """

    info = FusionInfo(
        "weighted_sum",
        "Baltrusaitis, Ahuja, Morency 2019 (survey)",
        "h = sum_m alpha_m (W_m x_m + b_m), sum_m alpha_m = 1",
        needs_tokens=False,
    )
    interaction = "additive"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        raw: bool = False,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        if raw and len(dims) > 2:
            raise ValueError(f"weighted_sum(raw=True) takes two modalities, got {len(dims)}; leave raw out for more")
        self.raw = raw
        self.project = self.projections()
        self.absent_D = nn.Parameter(torch.zeros(width))
        if raw:
            self.alpha = nn.Parameter(torch.tensor(0.5))
        else:
            self.logits_M = nn.Parameter(torch.zeros(len(dims)))

    def weights(self, present_BM: Tensor) -> Tensor:
        """Weight of each modality in each row [B, M]; zero where missing."""
        if not self.raw:
            return masked_softmax(self.logits_M, present_BM)
        both_M = torch.stack([self.alpha, 1 - self.alpha])[: present_BM.shape[1]]
        whole_BM = present_BM.to(both_M.dtype)
        complete_B1 = present_BM.all(1, keepdim=True) & (present_BM.shape[1] == 2)
        return torch.where(complete_B1, both_M.expand_as(whole_BM), whole_BM)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the weighted sum; a row with nothing present gets a learned vector."""
        vectors = present_vectors(encoded, present_BM)
        terms_BMD = torch.stack([p(v) for p, v in zip(self.project, vectors, strict=True)], dim=1)
        weights_BM = self.weights(present_BM)
        fused_BD = (terms_BMD * weights_BM[..., None]).sum(1)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D)
        return FusionOutput(fused_BD, weights_BM=weights_BM)


FUSIONS.add("weighted_sum", WeightedSumFusion)
