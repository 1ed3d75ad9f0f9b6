"""Sets of items: each is encoded alone, the vectors become the tokens of the set and their mean its vector.

The order of a set says nothing, so nothing here depends on it; rows hand their items over sorted by content, so that
not even the rounding does. After Zaheer et al. 2017, "Deep Sets", section 3 (the mean as the sum over its size).
"""

from __future__ import annotations

import torch
from torch import Tensor

from plait.encoders.base import Encoded, Encoder
from plait.encoders.batching import encode_by_bytes
from plait.encoders.scratch import masked_mean

MEMBERS = "mask_BK"  # beside it, every tensor of the processor has the shape [B, K, ...]


def pool_set(vectors_BKD: Tensor, mask_BK: Tensor) -> Encoded:
    """The encoded set of encoded members; one without members gives zeros."""
    vectors_BKD = torch.where(mask_BK[..., None], vectors_BKD, 0.0)
    return Encoded(masked_mean(vectors_BKD, mask_BK), vectors_BKD, mask_BK)


def encode_sets(encoder: Encoder, mask_BK: Tensor, **inputs: Tensor) -> Encoded:
    """Run an encoder over the real members of a batch of sets.

    Args:
        encoder: Encoder of one member.
        mask_BK: True where a set has a member [B, K].
        **inputs: Tensors of the members' processor [B, K, ...].
    """
    if torch.compiler.is_exporting():  # a graph has no shapes that hang on values: it encodes every place
        places = {name: tensor.flatten(0, 1) for name, tensor in inputs.items()}
        vectors_ND = encoder(**places).vector_BD
        return pool_set(vectors_ND.reshape(*mask_BK.shape, vectors_ND.shape[1]), mask_BK)
    members = {name: tensor[mask_BK] for name, tensor in inputs.items()}
    example = next(iter(inputs.values()))
    if not bool(mask_BK.any()):
        return pool_set(torch.zeros(*mask_BK.shape, encoder.vector_dim, device=example.device), mask_BK)
    vectors_ND = encode_by_bytes(encoder, **members).vector_BD
    vectors_BKD = vectors_ND.new_zeros(*mask_BK.shape, vectors_ND.shape[1])
    return pool_set(vectors_BKD.masked_scatter(mask_BK[..., None], vectors_ND), mask_BK)
