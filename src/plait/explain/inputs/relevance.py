"""Attention relevance: how much of a score's gradient runs through attention from each token of an item.

In: the attention maps of all layers and their gradients. Out: a number of each token, 0 or more; no share of the score,
so nothing adds up to it.

Reference: Chefer, Gur and Wolf 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
Encoder-Decoder Transformers", equations 5 and 6 (self-attention alone; R begins as the identity).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def relevance(attention_LHTT: Sequence[Tensor], gradient_LHTT: Sequence[Tensor]) -> Tensor:
    """Relevance R [T, T] of every token (column) to every token behind the last layer (row).

    Of each layer, the first first: A = mean over heads of max(0, gradient * attention) (equation 5), then
    R <- R + A R (equation 6).

    Args:
        attention_LHTT: Attention of each layer [H, T, T], rows that look, columns that are looked at.
        gradient_LHTT: Gradient of the score with respect to each.

    Example:
        >>> maps = [torch.tensor([[[0.5, 0.5], [0.0, 1.0]]])]
        >>> relevance(maps, [torch.tensor([[[1.0, 2.0], [1.0, -1.0]]])]).tolist()
        [[1.5, 1.0], [0.0, 1.0]]
    """
    size = attention_LHTT[0].shape[-1]
    found_TT = torch.eye(size, dtype=torch.float64)
    for attention_HTT, gradient_HTT in zip(attention_LHTT, gradient_LHTT, strict=True):
        mean_TT = (gradient_HTT * attention_HTT).clamp(min=0).mean(0).double().cpu()
        found_TT = found_TT + mean_TT @ found_TT
    return found_TT


def relevance_of_tokens(relevance_TT: Tensor, weight_T: Tensor) -> Tensor:
    """Relevance of each token [T] to what is read off the tokens behind the last layer.

    Args:
        relevance_TT: What :func:`relevance` gave.
        weight_T: How much each of those tokens counts, adding up to one: the class token alone, or all real ones alike.

    That every token is relevant to itself (the identity that R begins as) is left out: it tells no token from another.
    """
    without_self = relevance_TT - torch.eye(len(relevance_TT), dtype=relevance_TT.dtype)
    found: Tensor = weight_T.to(without_self) @ without_self
    return found
