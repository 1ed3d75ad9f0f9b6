"""Learned absence: in place of a missing modality the fusion sees a vector (and one token) that the model has learned.

By default a missing modality is masked: each fusion leaves it out in its own way. Under ``fusion.absence: learned`` it
is replaced in front of the fusion, alike for every fusion, and the fusion takes it for present. Head and losses still
know what is missing. A row in which nothing is there stays masked: learned vectors alone say nothing about it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims
from plait.registry import unknown_name

ABSENCES = ("mask", "learned")
STD = 0.02


class LearnedAbsence(nn.Module):
    """x_m becomes a_m, a vector learned for each modality, in rows where modality m is missing and another is not.

    Args:
        dims: Widths of each modality.
        with_tokens: Learn a token of each modality that has tokens as well; a missing modality is one token long.

    When to use: rows in training lack modalities for reasons that tell something about the answer, or a fusion that
    has no good answer of its own to a missing modality. Without training rows that lack a modality (by nature or by
    modality dropout) its vector stays at its random start.
    Measured (benchmarks/missing.py): trained on whole rows, masking did as well or better.
    Relatives: ``concat`` and the bilinear fusions learn such vectors behind their projections, under "mask" as well;
    modality dropout is what trains them where few rows lack anything.
    Reference: Lee, Tsai, Chiu, Lee 2023 (multimodal prompting with missing modalities: learned inputs stand for what
    is missing); the mask token of Devlin, Chang, Lee, Toutanova 2019.
    """

    def __init__(self, dims: list[EncodedDims], *, with_tokens: bool) -> None:
        super().__init__()
        self.vectors = nn.ParameterList(STD * torch.randn(d.vector_dim) for d in dims)
        self.tokens = nn.ParameterDict(
            {
                str(m): nn.Parameter(STD * torch.randn(d.token_dim))
                for m, d in enumerate(dims)
                if with_tokens and d.token_dim is not None
            }
        )

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> tuple[list[Encoded], Tensor]:
        """Return what the fusion shall see: encoded modalities, and what counts as there [B, M]."""
        filled = []
        for m, e in enumerate(encoded):
            there_B = present_BM[:, m]
            vector_BD = torch.where(there_B[:, None], e.vector_BD, self.vectors[m].to(e.vector_BD.dtype))
            tokens_BTD, mask_BT = e.tokens_BTD, e.mask_BT
            if str(m) in self.tokens and tokens_BTD is not None and mask_BT is not None:
                if tokens_BTD.shape[1] == 0:
                    tokens_BTD, mask_BT = functional.pad(tokens_BTD, (0, 0, 0, 1)), functional.pad(mask_BT, (0, 1))
                length = tokens_BTD.shape[1]
                token_TD = functional.pad(self.tokens[str(m)].to(tokens_BTD.dtype)[None], (0, 0, 0, length - 1))
                tokens_BTD = torch.where(there_B[:, None, None], tokens_BTD, token_TD)
                mask_BT = torch.where(there_B[:, None], mask_BT, torch.arange(length, device=mask_BT.device) == 0)
            filled.append(Encoded(vector_BD, tokens_BTD, mask_BT))
        return filled, self.seen(present_BM)

    def seen(self, present_BM: Tensor) -> Tensor:
        """What the fusion takes for present [B, M]: everything, in rows where anything is."""
        return present_BM.any(1, keepdim=True).expand_as(present_BM)


def make_absence(kind: str, dims: list[EncodedDims], *, with_tokens: bool) -> LearnedAbsence | None:
    """What stands for missing modalities, or None under "mask" and where there is one modality alone.

    Raises:
        ValueError: ``kind`` is neither "mask" nor "learned".
    """
    if kind not in ABSENCES:
        raise ValueError(unknown_name("fusion.absence", kind, list(ABSENCES)))
    return LearnedAbsence(dims, with_tokens=with_tokens) if kind == "learned" and len(dims) > 1 else None
