"""FiLM: modalities scale and shift each other's features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import (
    FUSIONS,
    EncodedDims,
    Fusion,
    FusionInfo,
    FusionOutput,
    Projection,
    masked_mean,
    present_vectors,
)


class FiLMFusion(Fusion):
    """h = mean_m [(1 + dgamma_m) * f_m + beta_m], f_m = P_m x_m, [dgamma_m; beta_m] = sum_(o != m) G_mo x_o.

    Which conditions which: every modality's features f_m are conditioned by all the other modalities together (one
    linear map of their vectors side by side), in both directions, and the results are averaged over the modalities
    present. The paper has one direction (the question conditions the picture); modalities here have no such roles. So
    two modalities condition each other, and for more the conditioners of m add up. One alone conditions itself.

    The difference from gamma = 1 is predicted, and every G starts at zero: at first nothing is modulated and h is the
    plain mean of projections. A missing conditioner adds nothing (with none left, gamma = 1 and beta = 0); a missing
    modality's own features leave the mean; a row with nothing present gets a learned vector.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: when one modality says how another is to be read (a question, a sensor setting, a time of day).
    Relatives: ``mmtm`` (scale only, squeezed and bounded), ``product``, ``gated``.
    Reference: Perez, Strub, de Vries, Dumoulin, Courville 2018, equations 1-2.
    """

    info = FusionInfo(
        "film",
        "Perez, Strub, de Vries, Dumoulin, Courville 2018 (FiLM)",
        "h = mean_m [(1 + dgamma_m) * P_m x_m + beta_m], [dgamma_m; beta_m] = sum_(o != m) G_mo x_o",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        count = len(dims)
        self.project = self.projections()
        self.conditioners = [[o for o in range(count) if o != m] or [m] for m in range(count)]
        self.generators = nn.ModuleList(
            nn.ModuleList(
                Projection(dims[o].vector_dim, 2 * width, normalise=normalise, dropout=dropout) for o in others
            )
            for others in self.conditioners
        )
        for generators in self.generators:
            for generator in generators:
                nn.init.zeros_(generator.linear.weight)
                nn.init.zeros_(generator.linear.bias)
        self.absent_D = nn.Parameter(torch.zeros(width))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by mutual modulation."""
        vectors = present_vectors(encoded, present_BM)
        terms = []
        for m, (others, generators) in enumerate(zip(self.conditioners, self.generators, strict=True)):
            features_BD = self.project[m](vectors[m])
            change_BE = torch.zeros_like(features_BD).repeat(1, 2)
            for o, generator in zip(others, generators, strict=True):
                there_B1 = present_BM[:, o, None]
                change_BE = change_BE + torch.where(there_B1, generator(vectors[o]), torch.zeros_like(change_BE))
            gamma_BD, beta_BD = change_BE.chunk(2, dim=1)
            terms.append((1 + gamma_BD) * features_BD + beta_BD)
        fused_BD = masked_mean(torch.stack(terms, dim=1), present_BM)
        return FusionOutput(torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D))


FUSIONS.add("film", FiLMFusion)
