"""Every modality as a sequence of one width: its vector first, then its tokens.

What token fusions read. A modality without tokens is a sequence of one. What is missing or padding is replaced by
zeros before anything is computed, and left out by the mask. Tokens whose order means something and that do not tell
their place get a position code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims, Projection, present_vectors
from plait.fusion.positions import Sinusoids


class Sequences(nn.Module):
    """S_m = [P_m x_m; R_m X_m + pos] (+ e_m), vector and tokens each through their own projection.

    Args:
        dims: Widths of each modality.
        width: Width of the sequences.
        embed: Add a learned embedding e_m to all of a modality's tokens. Needed where modalities share weights.
        normalise: Layer-normalise vectors and tokens first.
        dropout: Feature dropout in training, in [0, 1).
        codes: Makes the position codes of a modality from its order and the width.
    """

    def __init__(
        self, dims: list[EncodedDims], width: int, *, embed: bool, normalise: bool, dropout: float,
        codes: Callable[[str, int], nn.Module] = Sinusoids,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vectors = nn.ModuleList(
            Projection(d.vector_dim, width, normalise=normalise, dropout=dropout) for d in dims
        )
        self.tokens = nn.ModuleDict(
            {
                str(m): Projection(d.token_dim, width, normalise=normalise, dropout=dropout)
                for m, d in enumerate(dims)
                if d.token_dim is not None
            }
        )
        self.codes = nn.ModuleDict(
            {
                str(m): codes(d.order, width)
                for m, d in enumerate(dims)
                if d.token_dim is not None and d.order is not None
            }
        )
        self.embedding_MD = nn.Parameter(0.02 * torch.randn(len(dims), width)) if embed else None

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return each modality's sequence [B, 1 + T_m, width] and the mask of what is real in it [B, 1 + T_m]."""
        sequences, keeps = [], []
        for m, (item, vector_BD) in enumerate(zip(encoded, present_vectors(encoded, present_BM), strict=True)):
            parts = [self.vectors[m](vector_BD)[:, None]]
            keep_BT = present_BM[:, m, None]
            if str(m) in self.tokens and item.tokens_BTD is not None:
                tokens_BTD = item.tokens_BTD
                real_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)
                real_BT = (real_BT if item.mask_BT is None else item.mask_BT) & present_BM[:, m, None]
                tokens_BTD = self.tokens[str(m)](torch.where(real_BT[..., None], tokens_BTD, tokens_BTD.new_zeros(())))
                if str(m) in self.codes:
                    tokens_BTD = tokens_BTD + self.codes[str(m)](real_BT).to(tokens_BTD.dtype)
                parts.append(tokens_BTD)
                keep_BT = torch.cat([keep_BT, real_BT], dim=1)
            sequence_BTD = torch.cat(parts, dim=1)
            sequences.append(sequence_BTD if self.embedding_MD is None else sequence_BTD + self.embedding_MD[m])
            keeps.append(keep_BT)
        return sequences, keeps


def mean_over_real(values_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Mean over what is real [B, D]; zero where nothing is."""
    weight_BT = keep_BT.to(values_BTD.dtype)
    return (values_BTD * weight_BT[..., None]).sum(1) / weight_BT.sum(1, keepdim=True).clamp(min=1.0)


def attention_over_tokens(attention_BT: Tensor) -> Tensor | None:
    """Attention over a sequence to attention over its tokens alone [B, T], sum 1; None where it has no tokens."""
    if attention_BT.shape[1] == 1:
        return None
    share_BT = attention_BT[:, 1:]
    total_B1 = share_BT.sum(1, keepdim=True)
    return torch.where(total_B1 > 0, share_BT / torch.where(total_B1 > 0, total_B1, 1.0), torch.zeros_like(share_BT))
