"""Pairwise: how a method made for two modalities takes any number of them, one scheme for all such methods.

In: the encoded modalities. Out: the mean, over the unordered pairs of modalities that are there, of what the method
makes of the pair. Each pair has parameters of its own.

* More than two modalities: M (M - 1) / 2 pairs, so parameters and time grow with the square of M.
* One modality alone: it is paired with itself (second-order features of one vector, the first use of bilinear pooling).
* A missing modality: its pairs are left out of the mean. These methods have no term of one modality (nothing times x is
  nothing), so in a row with one modality a learned absence vector stands in the place of its partner in each of its
  pairs, and in a row with none in the place of both. It starts as an ordinary standard normal vector.

Interactions of three modalities at once are out of reach here; ``tensor`` and ``low_rank`` have them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims, Fusion, FusionOutput, bare_norm, masked_mean, present_vectors


class PairwiseFusion(Fusion):
    """Base of the methods made for two modalities; a subclass says what it makes of a pair.

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        make: Builds the module of one pair, see :class:`Pairwise`.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).
    """

    interaction = "multiplicative"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        make: Callable[[int, int], nn.Module],
        *,
        normalise: bool,
        dropout: float,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        self.pairwise = Pairwise(dims, make, normalise=normalise, dropout=dropout)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse pair by pair."""
        return FusionOutput(self.pairwise(encoded, present_BM))


class Pairwise(nn.Module):
    """h = mean of f_ab(x_a, x_b) over the pairs a < b that are there.

    Args:
        dims: Widths of each modality, in model order.
        make: Builds f_ab from the two vector widths: a module from [B, D_a] and [B, D_b] to [B, width].
        normalise: Layer-normalise each modality's vector first.
        dropout: Feature dropout in training, in [0, 1).
    """

    def __init__(
        self, dims: list[EncodedDims], make: Callable[[int, int], nn.Module], *, normalise: bool, dropout: float
    ) -> None:
        super().__init__()
        widths = [d.vector_dim for d in dims]
        self.norms = nn.ModuleList(bare_norm(w, normalise) for w in widths)
        self.dropout = nn.Dropout(dropout)
        self.absent = nn.ParameterList(nn.Parameter(torch.randn(w)) for w in widths)
        self.members = list(combinations(range(len(dims)), 2)) or [(0, 0)]
        self.methods = nn.ModuleList(make(widths[a], widths[b]) for a, b in self.members)

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Fuse the pairs and average [B, width]."""
        vectors = [
            torch.where(present_BM[:, m, None], self.dropout(norm(v)), absent.to(v.dtype))
            for m, (norm, v, absent) in enumerate(
                zip(self.norms, present_vectors(encoded, present_BM), self.absent, strict=True)
            )
        ]
        fused = [f(vectors[a], vectors[b]) for (a, b), f in zip(self.members, self.methods, strict=True)]
        return masked_mean(torch.stack(fused, dim=1), self.counted(present_BM))

    def counted(self, present_BM: Tensor) -> Tensor:
        """Which pairs a row counts [B, P]: the complete ones; without any, those of its one modality; else all."""
        here_BP2 = torch.stack([present_BM[:, list(pair)] for pair in self.members], dim=1)
        whole_BP, half_BP = here_BP2.all(2), here_BP2.any(2)
        part_BP = torch.where(half_BP.any(1, keepdim=True), half_BP, torch.ones_like(half_BP))
        return torch.where(whole_BP.any(1, keepdim=True), whole_BP, part_BP)
