"""Mixture of experts over subsets of modalities: a gate chooses between networks that each read some modalities."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, bare_norm, present_vectors

MAX_MODALITIES = 6


class MixtureOfExpertsFusion(Fusion):
    """h = sum_S g_S f_S([x_m]_{m in S}), g = softmax over the subsets S whose members are all present.

    One expert f_S, a network with one GELU layer, for each of the 2^M - 1 non-empty subsets of modalities. The gate is
    linear in all vectors (zeros where missing) and presence bits. A subset with a missing member has no weight, so
    that a row is answered by experts that were trained on just what it has. A row with nothing present gets a learned
    vector. A modality's weight is the gate mass of the subsets that hold it, normalised over modalities.

    Args:
        dims: Widths of each modality, at most 6 of them (63 experts).
        width: Width D of the fused vector and of the experts.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: More than 6 modalities.

    When to use: modalities are often missing, and in known combinations.
    Relatives: ``gated`` weighs single modalities; ``self_attention`` shares its weights between the combinations.
    Reference: Jacobs, Jordan, Nowlan, Hinton 1991 (the mixture); experts on subsets as in Sutter, Daunhawer, Vogt 2021.
    """

    info = FusionInfo(
        "mixture_of_experts",
        "Jacobs, Jordan, Nowlan, Hinton 1991; subsets as in Sutter, Daunhawer, Vogt 2021",
        "h = sum_S g_S f_S([x_m]_{m in S}), g = softmax over the subsets S that are all present",
        needs_tokens=False,
    )
    interaction = "nonlinear"
    max_modalities = MAX_MODALITIES
    member_SM: Tensor  # noqa: N815  shape letters

    def __init__(self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        count = len(dims)
        self.subsets = [s for size in range(1, count + 1) for s in combinations(range(count), size)]
        self.norms = nn.ModuleList(bare_norm(d.vector_dim, normalise) for d in dims)
        self.drop = nn.Dropout(dropout)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(sum(dims[m].vector_dim for m in subset), width), nn.GELU(), nn.Linear(width, width))
            for subset in self.subsets
        )
        total = sum(d.vector_dim for d in dims) + count
        self.gate = nn.Linear(total, len(self.subsets)) if count > 1 else None
        self.absent_D = nn.Parameter(torch.zeros(width))
        members = torch.tensor([[m in subset for m in range(count)] for subset in self.subsets])
        self.register_buffer("member_SM", members)

    def gates(self, blocks: list[Tensor], present_BM: Tensor) -> Tensor:
        """Weight of each subset in each row [B, S]; zero where a member is missing."""
        open_BS = (present_BM[:, None] | ~self.member_SM).all(2)
        if self.gate is None:
            return open_BS.to(blocks[0].dtype)
        logits_BS = self.gate(torch.cat([*blocks, present_BM.to(blocks[0].dtype)], dim=1))
        return torch.softmax(logits_BS.masked_fill(~open_BS, -1e9), dim=1) * open_BS

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the mixture."""
        vectors = present_vectors(encoded, present_BM)
        blocks = [self.drop(norm(v)) for norm, v in zip(self.norms, vectors, strict=True)]
        gates_BS = self.gates(blocks, present_BM)
        answers_BSD = torch.stack(
            [
                expert(torch.cat([blocks[m] for m in subset], dim=1))
                for expert, subset in zip(self.experts, self.subsets, strict=True)
            ],
            dim=1,
        )
        fused_BD = (answers_BSD * gates_BS[..., None]).sum(1)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), fused_BD, self.absent_D)
        mass_BM = gates_BS @ self.member_SM.to(gates_BS.dtype)
        total_B1 = mass_BM.sum(1, keepdim=True)
        return FusionOutput(fused_BD, weights_BM=mass_BM / torch.where(total_B1 > 0, total_B1, 1.0))


FUSIONS.add("mixture_of_experts", MixtureOfExpertsFusion)
