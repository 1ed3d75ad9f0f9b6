"""Factorised bilinear pooling: MFB multiplies two projected vectors and sums k neighbours, MFH cascades p of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, check_count
from plait.fusion.pairwise import PairwiseFusion
from plait.fusion.power import power_normalise


class MFBFusion(PairwiseFusion):
    """z = SumPool_k(U x_1 * V x_2); h = sqrt(D) u / ||u|| with u = sign(z) sqrt|z|.

    Each fused feature is a bilinear form of rank k. The root has an epsilon against its infinite slope at zero, and
    the norm is sqrt(D) instead of 1 (see ``power.py``).

    For two modalities; of more the mean over the pairs that are there is taken, one alone is paired with itself, and
    a learned absence vector is the partner of one whose partners are all missing (see ``pairwise.py``).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        factors: Number k of products summed into one feature, 1 or more.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: questions about a picture, or agreement between two modalities, at moderate cost.
    Relatives: ``mfh`` (higher orders), ``product`` (k = 1 with tanh), ``mcb`` (random instead of learned projections).
    Reference: Yu, Yu, Fan, Tao 2017 (MFB).
    """

    info = FusionInfo(
        "mfb",
        "Yu, Yu, Fan, Tao 2017 (MFB)",
        "z = SumPool_k(U x_1 * V x_2); u = sign(z) sqrt|z|; h = sqrt(D) u / ||u||",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        factors: int = 5,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_count(factors=factors)
        super().__init__(
            dims, width, lambda a, b: FactorisedPair(a, b, width, factors), normalise=normalise, dropout=dropout
        )


class MFHFusion(PairwiseFusion):
    """e_i = (U_i x_1 * V_i x_2) * e_(i-1), e_0 = 1; z_i = MFB's pooling of e_i; h = W [z_1; ..; z_p] + b.

    Block i holds products of order 2i: each step multiplies the expanded product of the step before it.

    For two modalities; of more the mean over the pairs that are there is taken, one alone is paired with itself, and
    a learned absence vector is the partner of one whose partners are all missing (see ``pairwise.py``).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of each block.
        order: Number p of blocks in the cascade, 1 or more.
        factors: Number k of products summed into one feature, 1 or more.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: where ``mfb`` helps and there are rows enough for twice its parameters.
    Relatives: ``mfb`` (the first block alone, without W).
    Reference: Yu, Yu, Xiang, Fan, Tao 2018 (MFH).
    """

    info = FusionInfo(
        "mfh",
        "Yu, Yu, Xiang, Fan, Tao 2018 (MFH)",
        "e_i = (U_i x_1 * V_i x_2) * e_(i-1); z_i = power_norm(SumPool_k(e_i)); h = W [z_1; ..; z_p] + b",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        order: int = 2,
        factors: int = 5,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_count(order=order, factors=factors)
        super().__init__(
            dims, width, lambda a, b: CascadePair(a, b, width, order, factors), normalise=normalise, dropout=dropout
        )


class FactorisedPair(nn.Module):
    """One MFB block for one pair."""

    def __init__(self, left_dim: int, right_dim: int, width: int, factors: int) -> None:
        super().__init__()
        self.factors = factors
        self.left = nn.Linear(left_dim, width * factors)
        self.right = nn.Linear(right_dim, width * factors)

    def expand(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """The products before pooling, [B, width * factors]."""
        return self.left(left_BD) * self.right(right_BD)

    def pool(self, products_BE: Tensor) -> Tensor:
        """Sum k neighbours and normalise, [B, width]."""
        return power_normalise(products_BE.unflatten(1, (-1, self.factors)).sum(2))

    def forward(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """Fuse [B, D_left] and [B, D_right] to [B, width]."""
        return self.pool(self.expand(left_BD, right_BD))


class CascadePair(nn.Module):
    """A cascade of MFB blocks for one pair."""

    def __init__(self, left_dim: int, right_dim: int, width: int, order: int, factors: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FactorisedPair(left_dim, right_dim, width, factors) for _ in range(order))
        self.out = nn.Linear(order * width, width)

    def forward(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """Fuse [B, D_left] and [B, D_right] to [B, width]."""
        products_BE, pooled = torch.ones((), dtype=left_BD.dtype, device=left_BD.device), []
        for block in self.blocks:
            products_BE = block.expand(left_BD, right_BD) * products_BE
            pooled.append(block.pool(products_BE))
        fused_BD: Tensor = self.out(torch.cat(pooled, dim=1))
        return fused_BD


FUSIONS.add("mfb", MFBFusion)
FUSIONS.add("mfh", MFHFusion)
