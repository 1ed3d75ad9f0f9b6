"""Flexible mixture of experts (Flex-MoE): a bank stands for what is missing, and a router knows what was there."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, Fusion, FusionInfo, FusionOutput, check_weight, present_vectors
from plait.fusion.mixture_of_experts import MAX_MODALITIES, load_balance
from plait.fusion.transformer import Attention

STD = 0.02


class FlexMoEFusion(Fusion):
    """h = W [t_1; ..; t_M], t = z + sum_e g_e F_e(norm z), z = s + attention(norm s), s_m = P_m x_m + e_m.

    Where modality m is missing, s_m is the entry B_(S,m) of the missing-modality bank for the set S of modalities that
    are there: an embedding a pair of what is there and what is not. There are 2^M - 1 experts F_e, networks with one
    GELU layer of twice the width, one for each set S, and g = softmax(R norm z) is their share of a token. A term of
    the training loss shares out the rows in which all is there evenly among the experts (the G-router of the paper,
    :func:`plait.fusion.mixture_of_experts.load_balance`) and sends the others to the expert of their set (its S-router:
    cross-entropy of R norm z). A row with nothing present gets a learned vector.

    The paper has several tokens a modality, chooses the best 4 of 16 experts with noise, and shows rows with all
    modalities first; here there is one token a modality, and all of the few experts are weighed.

    Args:
        dims: Widths of each modality, at most 6 of them (63 experts).
        width: Width D of the fused vector and of all tokens; must be a multiple of ``heads``.
        heads: Number of attention heads.
        balance: Weight of that term in the training loss, 0 or more; 0 leaves it out; 0.01 in the paper's code.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in front of the projections in training, in [0, 1).

    Raises:
        ValueError: More than 6 modalities, or an option is out of range.

    When to use: modalities are missing in many combinations, in training rows too, and which are missing tells
        something.
    Relatives: ``mixture_of_experts`` has experts that read only what is there; ``fusion.absence=learned`` puts one
        vector a modality in front of any fusion.
    Reference: Yun, Choi, Peng, Wu, Bao, Zhang, Xin, Long, Chen 2024 (Flex-MoE, NeurIPS).
    """

    info = FusionInfo(
        "flex_moe",
        "Yun et al. 2024 (Flex-MoE)",
        "h = W [t_1; ..; t_M], t = z + sum_e g_e F_e(z), z = s + attention(s), s_m = P_m x_m, or B_(S,m) where missing",
        needs_tokens=False,
    )
    interaction = "attention"
    max_modalities = MAX_MODALITIES

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        heads: int = 4,
        balance: float = 0.01,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_weight(balance=balance)
        self.balance = balance
        count = len(dims)
        self.subsets = [s for size in range(1, count + 1) for s in combinations(range(count), size)]
        self.project = self.projections()
        self.embedding_MD = nn.Parameter(STD * torch.randn(count, width))
        self.bank = nn.ParameterDict(
            {f"{i}-{m}": nn.Parameter(STD * torch.randn(width)) for i, subset in enumerate(self.subsets)
             for m in range(count) if m not in subset}
        )  # fmt: skip
        self.norm_read, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.router = nn.Linear(width, len(self.subsets), bias=False) if count > 1 else None
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in self.subsets
        )
        self.out = nn.Linear(count * width, width)
        self.absent_D = nn.Parameter(torch.zeros(width))

    def tokens(self, encoded: list[Encoded], present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """One token a modality [B, M, D], from the bank where it is missing, and the number of each row's set [B]."""
        vectors = present_vectors(encoded, present_BM)
        tokens = [p(v) + e_D for p, v, e_D in zip(self.project, vectors, self.embedding_MD, strict=True)]
        set_B = torch.zeros(len(present_BM), dtype=torch.long, device=present_BM.device)
        for i, subset in enumerate(self.subsets):
            members_M = torch.tensor([m in subset for m in range(len(self.dims))], device=present_BM.device)
            here_B = (present_BM == members_M).all(1)
            set_B = torch.where(here_B, i, set_B)
            for m in range(len(self.dims)):
                if m not in subset:
                    tokens[m] = torch.where(here_B[:, None], self.bank[f"{i}-{m}"], tokens[m])
        return torch.stack(tokens, dim=1), set_B

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse by the mixture."""
        tokens_BMD, set_B = self.tokens(encoded, present_BM)
        read_BMD, _ = self.attention(
            self.norm_read(tokens_BMD), self.norm_read(tokens_BMD), torch.ones_like(present_BM)
        )
        tokens_BMD = tokens_BMD + read_BMD
        normed_BMD = self.norm_feed(tokens_BMD)
        made_BMED = torch.stack([expert(normed_BMD) for expert in self.experts], dim=2)
        term = None
        if self.router is None:
            tokens_BMD = tokens_BMD + made_BMED[:, :, 0]
        else:
            scores_BME = self.router(normed_BMD)
            gates_BME = torch.softmax(scores_BME, dim=2)
            tokens_BMD = tokens_BMD + (gates_BME[..., None] * made_BMED).sum(2)
            if self.training and self.balance > 0:
                term = self.balance * routing_loss(scores_BME, set_B, present_BM)
        fused_BD = torch.where(present_BM.any(1, keepdim=True), self.out(tokens_BMD.flatten(1)), self.absent_D)
        return FusionOutput(fused_BD, regulariser=term)


def routing_loss(scores_BME: Tensor, set_B: Tensor, present_BM: Tensor) -> Tensor:
    """Balance over the tokens of whole rows, plus cross-entropy to the expert of its set over those of the others.

    Args:
        scores_BME: Of each expert for each token, before the softmax.
        set_B: Number of the set of modalities that each row has.
        present_BM: What is there; rows with nothing do not count.
    """
    whole_B, some_B = present_BM.all(1), present_BM.any(1) & ~present_BM.all(1)
    whole_NE = scores_BME[whole_B].flatten(0, 1)
    loss = load_balance(torch.softmax(whole_NE, dim=1), torch.ones_like(whole_NE, dtype=torch.bool))
    if bool(some_B.any()):
        count = scores_BME.shape[1]
        target_N = set_B[some_B].repeat_interleave(count)
        loss = loss + functional.cross_entropy(scores_BME[some_B].flatten(0, 1), target_N)
    return loss


FUSIONS.add("flex_moe", FlexMoEFusion)
