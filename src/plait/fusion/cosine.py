"""Cosine: every modality mapped to one space and to unit length, then multiplied coordinate by coordinate.

The sum of the product's coordinates is the cosine of the two sides, so this is the fusion of "do these belong
together?": the pair head reads the cosine, a linear head weighs the coordinates. The unit vectors themselves are
handed out as ``tokens``, one a modality.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

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


class CosineFusion(Fusion):
    """h = D u_1 * u_2 (products elementwise), u_m = T_m r(x_m) / ||T_m r(x_m)||; the mean of h is the cosine.

    ``r`` is the square root for vectors without negative numbers (pooled ReLU features), the identity otherwise.
    It belongs to what the encoder gives (``prepare``), so that adapters of auxiliary objectives learn behind it.
    Any number of modalities: h is the mean over the pairs that are present. A row with one modality has
    h = sqrt(D) u_m; one with nothing present gets a learned vector.

    Args:
        dims: Widths of each modality.
        width: Width D of the shared space and of the fused vector.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).
        project: Map each modality to the shared space. False: the encoders live in it already (CLIP, SigLIP), so that
            u_m = x_m / ||x_m||, and there is nothing to learn.

    When to use: matching and everything else that asks whether two modalities agree.
    Relatives: ``product`` (tanh instead of unit length, and a residual); two-tower retrieval models.
    Reference: Radford et al. 2021 (CLIP), the two towers; Perronnin, Sanchez, Mensink 2010 for the root.
    """

    info = FusionInfo(
        "cosine",
        "Radford et al. 2021 (CLIP), the two towers",
        "h = D u_1 * u_2, u_m = T_m r(x_m) / ||T_m r(x_m)||, r = sqrt where x_m >= 0, else r(x) = x",
        needs_tokens=False,
    )
    interaction = "multiplicative"
    embeds = True

    def __init__(
        self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0,
        project: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        widths = [d.vector_dim for d in dims]
        if not project and set(widths) != {width}:
            raise ValueError(
                f"without projections every modality must be {width} wide, the width of the shared space; got {widths}"
            )
        self.project = project
        self.towers = self.projections() if project else nn.ModuleList(nn.Identity() for _ in dims)
        self.absent_D = nn.Parameter(torch.zeros(width))

    def prepare(self, encoded: list[Encoded], present_BM: Tensor) -> list[Encoded]:
        """Apply the root r, before an adapter mixes the numbers of a vector and some turn negative."""
        if not self.project:
            return encoded
        vectors = present_vectors(encoded, present_BM)
        return [
            Encoded(flatten_activations(vector), e.tokens_BTD, e.mask_BT)
            for vector, e in zip(vectors, encoded, strict=True)
        ]

    def embed(self, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Each modality in the shared space [B, M, D], unit length, zeros where it is missing."""
        vectors = present_vectors(encoded, present_BM)
        unit_BMD = torch.stack(
            [functional.normalize(tower(vector), dim=-1) for tower, vector in zip(self.towers, vectors, strict=True)],
            dim=1,
        )
        return torch.where(present_BM[..., None], unit_BMD, torch.zeros_like(unit_BMD))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the product of unit vectors."""
        unit_BMD = self.embed(encoded, present_BM)
        fused_BD = self.width**0.5 * unit_BMD.sum(1)  # right for rows with one modality
        if len(self.dims) > 1:
            pairs = list(combinations(range(len(self.dims)), 2))
            product_BPD = torch.stack([unit_BMD[:, a] * unit_BMD[:, b] for a, b in pairs], dim=1)
            there_BP = torch.stack([present_BM[:, a] & present_BM[:, b] for a, b in pairs], dim=1)
            product_BD = self.width * masked_mean(product_BPD, there_BP)
            fused_BD = torch.where(there_BP.any(1, keepdim=True), product_BD, fused_BD)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D)
        return FusionOutput(fused_BD, tokens=unit_BMD)


def flatten_activations(vector_BD: Tensor) -> Tensor:
    """Square root of rows that hold no negative number, other rows as they are.

    Pooled ReLU features are heavy-tailed; the root evens them out (power normalisation). Decided row by row, so that a
    row's result does not depend on its batch.
    """
    positive_B1 = (vector_BD >= 0).all(1, keepdim=True)
    return torch.where(positive_B1, vector_BD.clamp(min=1e-12).sqrt(), vector_BD)


FUSIONS.add("cosine", CosineFusion)
