"""Tensor fusion (TFN): the outer product of all modalities, each with a 1 beside it, then a linear map.

The 1 keeps every lower order: the full tensor holds each modality alone, every pair, every triple. Its size is a
product over modalities, so each one is squeezed to a small width first and a guard stops what would not fit.
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


class TensorFusion(Fusion):
    """h = W vec([u_1; 1] (x) .. (x) [u_M; 1]) + b, u_m = S_m x_m + s_m, (x) the outer product.

    Any number of modalities. A missing modality has u_m = 0: only the slice of its "1" is left, so that the terms of
    the others speak unchanged. One modality alone is W [u_1; 1] + b, linear through ``squeeze`` features.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        squeeze: Width of u_m, 1 or more. The tensor has (squeeze + 1)^M cells.
        max_size: Largest number of cells allowed; more is refused with the number and what to type.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: two or three modalities, enough rows, and interactions of all orders suspected.
    Relatives: ``low_rank`` (the same tensor with a factored W, for wider vectors or more modalities), ``product``.
    Reference: Zadeh, Chen, Poria, Cambria, Morency 2017 (TFN).
    """

    info = FusionInfo(
        "tensor",
        "Zadeh, Chen, Poria, Cambria, Morency 2017 (TFN)",
        "h = W vec([u_1; 1] (x) .. (x) [u_M; 1]) + b, u_m = S_m x_m + s_m",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        squeeze: int = 16,
        max_size: int = 16384,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(squeeze=squeeze, max_size=max_size)
        size = (squeeze + 1) ** len(dims)
        if size > max_size:
            raise ValueError(_too_large(squeeze, len(dims), max_size))
        self.squeeze = self.projections(squeeze)
        self.out = nn.Linear(size, width)
        # A squeezed feature has variance 1/3 at the start, so the cells have sum of squares (1 + squeeze/3)^M.
        nn.init.normal_(self.out.weight, std=(1 + squeeze / 3) ** (-len(dims) / 2))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the outer product; a row with nothing present has the one cell that is a product of 1s."""
        vectors = present_vectors(encoded, present_BM)
        one_B1 = torch.ones_like(vectors[0][:, :1])
        cells_BN = one_B1
        for m, (squeeze, vector) in enumerate(zip(self.squeeze, vectors, strict=True)):
            small_BS = squeeze(vector)
            small_BS = torch.where(present_BM[:, m, None], small_BS, torch.zeros_like(small_BS))
            factor_BS = torch.cat([small_BS, one_B1.to(small_BS.dtype)], dim=1)
            cells_BN = (cells_BN[:, :, None] * factor_BS[:, None, :]).flatten(1)
        return FusionOutput(self.out(cells_BN))


def _too_large(squeeze: int, num_modalities: int, max_size: int) -> str:
    """What was computed, what the limit is and what to type."""
    size = (squeeze + 1) ** num_modalities
    fits = next((s for s in range(squeeze - 1, 0, -1) if (s + 1) ** num_modalities <= max_size), None)
    smaller = "fusion 'low_rank'" if fits is None else f"squeeze={fits}"
    return (
        f"fusion 'tensor' of {num_modalities} modalities with squeeze={squeeze} has "
        f"({squeeze} + 1)^{num_modalities} = {size} cells, more than max_size={max_size}; "
        f"use {smaller}, or allow it with max_size={size}"
    )


FUSIONS.add("tensor", TensorFusion)
