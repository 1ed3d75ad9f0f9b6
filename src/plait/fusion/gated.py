"""Gated multimodal unit (GMU): row by row and feature by feature, gates decide which modality speaks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, bare_norm, present_vectors


class GatedFusion(Fusion):
    """h = sum_m z_m * tanh(W_m x_m), z = softmax over m of (V_m [x_1; ..; x_M]).

    For two modalities the softmax is the paper's sigmoid pair (z, 1 - z). For more the paper leaves the gates
    unnormalised; here they share a softmax, so that a missing modality can be left out exactly (its gate is
    -inf).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: when a modality's worth changes from row to row (a blurred photo, an empty post).
    Relatives: ``weighted_sum`` (constant weights).
    Reference: Arevalo, Solorio, Montes-y-Gomez, Gonzalez 2017, equations 1-3.
    """

    info = FusionInfo(
        "gated",
        "Arevalo, Solorio, Montes-y-Gomez, Gonzalez 2017",
        "h = sum_m z_m * tanh(W_m x_m), z = softmax_m(V_m [x_1; ..; x_M])",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        self.project = self.projections()
        total = sum(d.vector_dim for d in dims)
        self.norms = nn.ModuleList(bare_norm(d.vector_dim, normalise) for d in dims)
        self.gate = nn.Linear(total, width * len(dims)) if len(dims) > 1 else None
        self.absent_D = nn.Parameter(torch.zeros(width))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse through the gates; a row with nothing present gets a learned vector."""
        vectors = present_vectors(encoded, present_BM)
        terms_BMD = torch.stack([torch.tanh(p(v)) for p, v in zip(self.project, vectors, strict=True)], dim=1)
        if self.gate is None:
            gates_BMD = torch.ones_like(terms_BMD)
        else:
            joined = torch.cat([norm(v) for norm, v in zip(self.norms, vectors, strict=True)], dim=1)
            logits_BMD = self.gate(joined).view_as(terms_BMD).masked_fill(~present_BM[..., None], -1e9)
            gates_BMD = torch.softmax(logits_BMD, dim=1)
        fused_BD = (gates_BMD * terms_BMD).sum(1)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D)
        return FusionOutput(fused_BD, weights_BM=gates_BMD.mean(2) * present_BM)


FUSIONS.add("gated", GatedFusion)
