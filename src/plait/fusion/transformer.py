"""Attention and the pre-norm transformer layer that the token fusions are built from.

In: a sequence, a mask of its real tokens, perhaps another sequence to read. Out: the updated sequence and where it
looked. A row without a single real key reads exactly zero (a softmax over nothing would be NaN). Positions are in the
tokens already, from their encoder or from ``positions.py``; none is added here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from plait.fusion.base import check_heads


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d)) V in several heads, then one linear map: 4 h^2 + 3 h parameters.

    Keys have no bias: it adds the same number to all scores of a query, and softmax takes it out again.

    Args:
        width: Width h of tokens, a multiple of ``heads``.
        heads: Number of attention heads.

    Raises:
        ValueError: ``heads`` is no whole number of 1 or more that divides ``width``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, query_BQD: Tensor, context_BKD: Tensor, keep_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each query reads [B, Q, D], and its attention, mean over heads [B, Q, K]."""
        query_BHQd = self._split(self.query(query_BQD))
        key_BHKd = self._split(self.key(context_BKD))
        scores_BHQK = query_BHQd @ key_BHKd.transpose(2, 3) / math.sqrt(query_BHQd.shape[3])
        keep_B11K = keep_BK[:, None, None]
        attention_BHQK = torch.softmax(scores_BHQK.masked_fill(~keep_B11K, -1e9), dim=3) * keep_B11K
        read_BQD = self.out((attention_BHQK @ self._split(self.value(context_BKD))).transpose(1, 2).flatten(2))
        read_BQD = torch.where(keep_BK.any(1)[:, None, None], read_BQD, torch.zeros_like(read_BQD))
        return read_BQD, attention_BHQK.mean(1)

    def _split(self, tokens_BTD: Tensor) -> Tensor:
        return tokens_BTD.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TransformerLayer(nn.Module):
    """x + attention(norm x, norm context), then x + feed(norm x), feed = W GELU(V x): 12 h^2 + 12 h parameters.

    Args:
        width: Width h of tokens, a multiple of ``heads``.
        heads: Number of attention heads.

    Reference: Vaswani et al. 2017; the norm goes first as in Xiong et al. 2020. One norm serves queries and context,
    as in the code of Tsai et al. 2019.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_read = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens_BTD: Tensor, keep_BK: Tensor, context_BKD: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Update the tokens.

        Args:
            tokens_BTD: What is updated.
            keep_BK: Which tokens of the context are real.
            context_BKD: What is read; None: the tokens themselves.

        Returns:
            The tokens [B, T, D], and the attention [B, T, K], mean over heads.
        """
        query_BTD = self.norm_read(tokens_BTD)
        key_BKD = query_BTD if context_BKD is None else self.norm_read(context_BKD)
        read_BTD, attention_BTK = self.attention(query_BTD, key_BKD, keep_BK)
        tokens_BTD = tokens_BTD + read_BTD
        return tokens_BTD + self.feed(self.norm_feed(tokens_BTD)), attention_BTK
