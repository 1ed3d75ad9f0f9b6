"""Concatenation: the vectors side by side, then a small network (or a single linear map)."""

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
    bare_norm,
    check_count,
    present_vectors,
)


class ConcatFusion(Fusion):
    """h = f([x_1; ..; x_M; present]), f linear or a network with ``hidden_layers`` hidden layers.

    A missing modality's block holds a learned absence vector, and a presence bit a modality stands beside the
    blocks.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector and of the hidden layers.
        hidden_layers: Number of GELU layers; 0 leaves one linear map, which is additive.
        normalise: Layer-normalise each block first: without it the widest or loudest block rules.
        dropout: Feature dropout in training, in [0, 1).

    When to use: a strong first choice for labels and numbers when all modalities describe the same thing.
    Relatives: ``weighted_sum`` (same class as ``hidden_layers=0``), ``product``.
    Reference: Ngiam et al. 2011; Baltrusaitis, Ahuja, Morency 2019 (survey).
    """

    info = FusionInfo(
        "concat",
        "Ngiam et al. 2011",
        "h = f([x_1; ..; x_M]), f linear or an MLP",
        needs_tokens=False,
    )

    interaction = "nonlinear"  # additive without hidden layers

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        hidden_layers: int = 1,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(0, hidden_layers=hidden_layers)
        if hidden_layers == 0:
            self.interaction = "additive"
        self.norms = nn.ModuleList(bare_norm(d.vector_dim, normalise) for d in dims)
        self.absent = nn.ParameterList(nn.Parameter(torch.zeros(d.vector_dim)) for d in dims)
        size = sum(d.vector_dim for d in dims) + len(dims)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for _ in range(hidden_layers):
            layers += [nn.Linear(size, width), nn.GELU(), nn.Dropout(dropout)]
            size = width
        layers.append(nn.Linear(size, width))
        self.network = nn.Sequential(*layers)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by concatenation."""
        blocks = [
            torch.where(present_BM[:, m, None], norm(v), absent)
            for m, (norm, v, absent) in enumerate(
                zip(self.norms, present_vectors(encoded, present_BM), self.absent, strict=True)
            )
        ]
        joined = torch.cat([*blocks, present_BM.to(blocks[0].dtype)], dim=1)
        return FusionOutput(self.network(joined))


FUSIONS.add("concat", ConcatFusion)
