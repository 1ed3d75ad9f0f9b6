"""Projected Hadamard product with a residual: the plainest fusion that can see interactions."""

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
    masked_mean,
    present_vectors,
)


class ProductFusion(Fusion):
    """h = W_o (*_m tanh(U_m x_m)) + mean_m (V_m x_m), products elementwise.

    A missing modality's factor is the vector of ones and its residual term leaves the mean, so the rest
    speaks alone.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of the product.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: questions about agreement between modalities (does the caption fit the photo?).
    Relatives: ``co_attention`` attends over tokens first, then multiplies.
    Reference: Kim, On, Lim, Kim, Ha, Zhang 2017 (MLB), equation 8; the residual follows Kim et al. 2016.
    """

    info = FusionInfo(
        "product",
        "Kim, On, Lim, Kim, Ha, Zhang 2017 (MLB)",
        "h = W_o (prod_m tanh(U_m x_m)) + mean_m V_m x_m",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        self.factors = self.projections()
        self.residuals = self.projections()
        self.out = nn.Linear(width, width)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by product and residual."""
        vectors = present_vectors(encoded, present_BM)
        one = torch.ones((), dtype=vectors[0].dtype, device=vectors[0].device)
        product_BD = torch.ones_like(one).expand(vectors[0].shape[0], self.width)
        for m, (factor, vector) in enumerate(zip(self.factors, vectors, strict=True)):
            product_BD = product_BD * torch.where(present_BM[:, m, None], torch.tanh(factor(vector)), one)
        residual_BMD = torch.stack([r(v) for r, v in zip(self.residuals, vectors, strict=True)], dim=1)
        return FusionOutput(self.out(product_BD) + masked_mean(residual_BMD, present_BM))


FUSIONS.add("product", ProductFusion)
