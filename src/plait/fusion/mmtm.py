"""MMTM: squeeze-and-excitation across modalities; all together decide which features of each are let through."""

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
    masked_mean,
    present_vectors,
)


class MMTMFusion(Fusion):
    """z = relu(W [x_1; ..; x_M] + b), x'_m = 2 sigmoid(E_m z + e_m) * x_m, h = mean_m (P_m x'_m + p_m).

    The paper squeezes feature maps by averaging over positions and scales each channel. Here the encoder's vector is
    both squeezed and scaled: for a vector pooled by the mean that is the same, since scaling commutes with it. The
    rectifier follows the authors' code.

    Any number of modalities: the squeeze reads all of them. One alone excites itself (plain squeeze-and-excitation).
    E_m and e_m start at zero, so that with the factor 2 every gate starts at 1 and h is the plain mean of projections.
    A missing modality enters the squeeze as zeros and leaves the mean; a row with nothing present gets a learned
    vector.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        ratio: The squeeze z has a ratio-th of the summed widths, rounded down (1 at least).
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: when modalities mostly speak for themselves and the others should turn features up or down.
    Relatives: ``film`` (unbounded scale, and shift), ``gated`` (gates weigh modalities against each other).
    Reference: Joze, Shaban, Iuzzolino, Koishida 2020 (MMTM); Hu, Shen, Sun 2018 (squeeze-and-excitation).
    """

    info = FusionInfo(
        "mmtm",
        "Joze, Shaban, Iuzzolino, Koishida 2020 (MMTM)",
        "z = relu(W [x_1; ..; x_M] + b); x'_m = 2 sigmoid(E_m z + e_m) * x_m; h = mean_m (P_m x'_m + p_m)",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        ratio: int = 4,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(ratio=ratio)
        self.widths = [d.vector_dim for d in dims]
        total = sum(self.widths)
        self.norms = nn.ModuleList(bare_norm(w, normalise) for w in self.widths)
        self.drop = nn.Dropout(dropout)
        self.squeeze = nn.Linear(total, max(total // ratio, 1))
        self.excite = nn.Linear(self.squeeze.out_features, total)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)
        self.project = nn.ModuleList(nn.Linear(w, width) for w in self.widths)
        self.absent_D = nn.Parameter(torch.zeros(width))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by excitation and mean."""
        vectors = [self.drop(n(v)) for n, v in zip(self.norms, present_vectors(encoded, present_BM), strict=True)]
        squeezed_BZ = torch.relu(self.squeeze(torch.cat(vectors, dim=1)))
        gates = (2 * torch.sigmoid(self.excite(squeezed_BZ))).split(self.widths, dim=1)
        terms = [project(gate * v) for project, gate, v in zip(self.project, gates, vectors, strict=True)]
        fused_BD = masked_mean(torch.stack(terms, dim=1), present_BM)
        return FusionOutput(torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D))


FUSIONS.add("mmtm", MMTMFusion)
