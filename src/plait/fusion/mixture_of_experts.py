"""Mixture of experts over subsets of modalities: a gate chooses between networks that each read some modalities."""

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
    bare_norm,
    check_weight,
    present_vectors,
)

MAX_MODALITIES = 6


class MixtureOfExpertsFusion(Fusion):
    """h = sum_S g_S f_S([x_m]_{m in S}), g = softmax over the subsets S whose members are all present.

    One expert f_S, a network with one GELU layer, for each of the 2^M - 1 non-empty subsets of modalities. The gate is
    linear in all vectors (zeros where missing) and presence bits. A subset with a missing member has no weight, so
    that a row is answered by experts that were trained on just what it has. A row with nothing present gets a learned
    vector. A modality's weight is the gate mass of the subsets that hold it, normalised over modalities.

    A gate learns fastest where it looks already, so a few experts get all rows and the rest never learn. The training
    loss therefore has a term that is smallest when the experts open to a row share the work (:func:`load_balance`).

    Args:
        dims: Widths of each modality, at most 6 of them (63 experts).
        width: Width D of the fused vector and of the experts.
        balance: Weight of that term in the training loss, 0 or more; 0 leaves it out.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: More than 6 modalities, or a weight below 0 or not finite.

    When to use: modalities are often missing, and in known combinations.
    Relatives: ``gated`` weighs single modalities; ``self_attention`` shares its weights between the combinations.
    Reference: Jacobs, Jordan, Nowlan, Hinton 1991 (the mixture); experts on subsets as in Sutter, Daunhawer, Vogt 2021;
        the load-balancing loss of Fedus, Zoph, Shazeer 2022 (Switch), equations 4 to 6, after Shazeer et al. 2017.
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

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        balance: float = 0.01,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_weight(balance=balance)
        self.balance = balance
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

    def open_to(self, present_BM: Tensor) -> Tensor:
        """Which subsets have all their members in a row [B, S]."""
        return (present_BM[:, None] | ~self.member_SM).all(2)

    def gates(self, blocks: list[Tensor], present_BM: Tensor) -> Tensor:
        """Weight of each subset in each row [B, S]; zero where a member is missing."""
        open_BS = self.open_to(present_BM)
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
        term = None
        if self.training and self.balance > 0 and self.gate is not None:
            term = self.balance * load_balance(gates_BS, self.open_to(present_BM))
        weights_BM = mass_BM / torch.where(total_B1 > 0, total_B1, 1.0)
        return FusionOutput(fused_BD, weights_BM=weights_BM, regulariser=term)


def load_balance(gates_BS: Tensor, open_BS: Tensor) -> Tensor:
    """sum_S f_S P_S / E_S, a scalar: 1 where the work is shared evenly, up to N where one of N experts has it all.

    f_S is the share of the rows whose largest gate is S (it carries no gradient), P_S the mean gate of S, and E_S what
    P_S would be if every row shared evenly among the experts that are open to it. With nothing missing E_S = 1 / N, and
    this is N sum_S f_S P_S, the loss of the Switch transformer. Rows without an open expert do not count.

    Args:
        gates_BS: Gates, each row 1 in sum over what is open.
        open_BS: Which experts are open to a row.

    Reference: Fedus, Zoph, Shazeer 2022, equations 4 to 6 (there for experts that are all open).
    """
    there_B = open_BS.any(1)
    count = there_B.sum().clamp(min=1)
    even_BS = open_BS.to(gates_BS.dtype) / open_BS.sum(1, keepdim=True).clamp(min=1)
    chosen_BS = functional.one_hot(gates_BS.argmax(1), gates_BS.shape[1]).to(even_BS.dtype) * there_B[:, None]
    share_S, mean_S, even_S = (part.sum(0) / count for part in (chosen_BS, gates_BS, even_BS))
    return (share_S * mean_S / torch.where(even_S > 0, even_S, 1.0)).sum()


FUSIONS.add("mixture_of_experts", MixtureOfExpertsFusion)
