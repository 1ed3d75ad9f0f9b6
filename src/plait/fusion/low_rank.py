"""Low-rank multimodal fusion (LMF): tensor fusion whose big weight is never built, only its factors.

A weight tensor of rank R is a sum of R outer products of one vector a modality, so the product with the outer product
of the inputs is a product of M small linear maps. Cost grows with the sum of the widths, not with their product.
"""

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
    check_count,
    present_vectors,
)


class LowRankFusion(Fusion):
    """h = sum_r w_r prod_m (W_m^r [x_m; 1]) + b, the product elementwise over modalities.

    Any number of modalities. A missing modality has x_m = 0, which leaves the column of its "1" as a constant
    factor: the terms of the others speak on. One modality alone is a linear map.

    Each factor starts with mean square one (half from x_m, half from the "1"), so that the product over any number of
    modalities has mean square one too and neither vanishes nor explodes.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        rank: Rank R of the weight tensor, 1 or more.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: interactions of all orders between several modalities, at a cost that grows only with their number.
    Relatives: ``tensor`` (the full weight, on squeezed vectors), ``product`` (rank one with tanh and a residual).
    Reference: Liu, Shen, Lakshminarasimhan, Liang, Zadeh, Morency 2018 (LMF); the weighted sum over ranks follows the
        authors' code.
    """

    info = FusionInfo(
        "low_rank",
        "Liu, Shen, Lakshminarasimhan, Liang, Zadeh, Morency 2018 (LMF)",
        "h = sum_r w_r prod_m (W_m^r [x_m; 1]) + b",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        rank: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(rank=rank)
        self.rank = rank
        # The bias of a linear map is the column of the 1.
        self.factors = self.projections(rank * width)
        for factor, d in zip(self.factors, dims, strict=True):
            nn.init.normal_(factor.linear.weight, std=(0.5 / d.vector_dim) ** 0.5)
            sign = torch.randint(0, 2, (rank * width,)) * 2.0 - 1.0
            factor.linear.bias = nn.Parameter(sign * 0.5**0.5)
        self.weights_R = nn.Parameter(torch.full((rank,), rank**-0.5))
        self.bias_D = nn.Parameter(torch.zeros(width))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the sum of products; a row with nothing present has the product of the constant factors."""
        vectors = present_vectors(encoded, present_BM)
        product_BRD = torch.ones((), dtype=vectors[0].dtype, device=vectors[0].device)
        for factor, vector in zip(self.factors, vectors, strict=True):  # a vector of zeros leaves the bias
            product_BRD = product_BRD * factor(vector).unflatten(1, (self.rank, -1))
        return FusionOutput((product_BRD * self.weights_R[:, None]).sum(1) + self.bias_D)


FUSIONS.add("low_rank", LowRankFusion)
