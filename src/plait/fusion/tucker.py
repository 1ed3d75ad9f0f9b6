"""Tucker decompositions of the bilinear weight: MUTAN (one core of low rank) and BLOCK (many small cores).

Both vectors are reduced to a core space; there a bilinear map of rank R works, over the whole space (MUTAN) or chunk
by chunk (BLOCK), and a linear map leads out. MUTAN is BLOCK with one chunk, so the pair module is one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, check_count
from plait.fusion.pairwise import PairwiseFusion


class MUTANFusion(PairwiseFusion):
    """a = A x_1, b = B x_2, z = sum_r (M_r a) * (N_r b), h = W z + w (every map with a bias).

    For two modalities; of more the mean over the pairs that are there is taken, one alone is paired with itself, and
    a learned absence vector is the partner of one whose partners are all missing (see ``pairwise.py``).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        core: Width of a, b and z, 1 or more; parameters grow with its square.
        rank: Rank R of each slice of the core, 1 or more.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: rich interactions of two modalities with wide vectors, as in visual question answering.
    Relatives: ``block`` (cheaper for a wide core), ``mfb``, ``low_rank`` (no reduction first).
    Reference: Ben-Younes, Cadene, Cord, Thome 2017 (MUTAN).
    """

    info = FusionInfo(
        "mutan",
        "Ben-Younes, Cadene, Cord, Thome 2017 (MUTAN)",
        "a = A x_1, b = B x_2; z = sum_r (M_r a) * (N_r b); h = W z + w",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        core: int = 128,
        rank: int = 5,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_count(core=core, rank=rank)
        super().__init__(
            dims, width, lambda a, b: TuckerPair(a, b, width, core, 1, rank), normalise=normalise, dropout=dropout
        )


class BlockFusion(PairwiseFusion):
    """a = A x_1, b = B x_2 cut into chunks a_c, b_c; z_c = sum_r (M_cr a_c) * (N_cr b_c); h = W [z_1; ..; z_C] + w.

    The core tensor is block-superdiagonal: features interact only within their chunk, which lets the core be wide.

    For two modalities; of more the mean over the pairs that are there is taken, one alone is paired with itself, and
    a learned absence vector is the partner of one whose partners are all missing (see ``pairwise.py``).

    Args:
        dims: Widths of each modality.
        width: Width D of the fused vector.
        core: Width of a and b, a multiple of ``chunks``.
        chunks: Number C of chunks, 1 or more.
        rank: Rank R within a chunk, 1 or more.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: as ``mutan``, when a wider core is wanted for the same number of parameters.
    Relatives: ``mutan`` (one chunk), ``product`` (chunks of one feature, with tanh).
    Reference: Ben-Younes, Cadene, Thome, Cord 2019 (BLOCK).
    """

    info = FusionInfo(
        "block",
        "Ben-Younes, Cadene, Thome, Cord 2019 (BLOCK)",
        "a = A x_1, b = B x_2; z_c = sum_r (M_cr a_c) * (N_cr b_c); h = W [z_1; ..; z_C] + w",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        core: int = 320,
        chunks: int = 8,
        rank: int = 8,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_count(core=core, chunks=chunks, rank=rank)
        if core % chunks:
            near = max(core // chunks, 1) * chunks
            raise ValueError(f"core must be a multiple of chunks, got core={core} and chunks={chunks}; use core={near}")
        super().__init__(
            dims, width, lambda a, b: TuckerPair(a, b, width, core, chunks, rank), normalise=normalise, dropout=dropout
        )


class TuckerPair(nn.Module):
    """Reduce both vectors, multiply chunk by chunk at rank R, lead out; variance one from end to end at the start."""

    def __init__(self, left_dim: int, right_dim: int, width: int, core: int, chunks: int, rank: int) -> None:
        super().__init__()
        self.chunks, self.rank = chunks, rank
        size = core // chunks
        self.left = nn.Linear(left_dim, core)
        self.right = nn.Linear(right_dim, core)
        self.left_CSE = nn.Parameter(torch.randn(chunks, size, rank * size) * size**-0.5)
        self.left_bias_CE = nn.Parameter(torch.zeros(chunks, rank * size))
        self.right_CSE = nn.Parameter(torch.randn(chunks, size, rank * size) * size**-0.5)
        self.right_bias_CE = nn.Parameter(torch.zeros(chunks, rank * size))
        self.out = nn.Linear(core, width)
        nn.init.normal_(self.left.weight, std=left_dim**-0.5)
        nn.init.normal_(self.right.weight, std=right_dim**-0.5)
        nn.init.normal_(self.out.weight, std=(core * rank) ** -0.5)  # the sum over ranks has variance R

    def forward(self, left_BD: Tensor, right_BD: Tensor) -> Tensor:
        """Fuse [B, D_left] and [B, D_right] to [B, width]."""
        left_BCS = self.left(left_BD).unflatten(1, (self.chunks, -1))
        right_BCS = self.right(right_BD).unflatten(1, (self.chunks, -1))
        left_BCE = torch.einsum("bcs,cse->bce", left_BCS, self.left_CSE) + self.left_bias_CE
        right_BCE = torch.einsum("bcs,cse->bce", right_BCS, self.right_CSE) + self.right_bias_CE
        core_BD = (left_BCE * right_BCE).unflatten(2, (self.rank, -1)).sum(2).flatten(1)
        fused_BD: Tensor = self.out(core_BD)
        return fused_BD


FUSIONS.add("mutan", MUTANFusion)
FUSIONS.add("block", BlockFusion)
