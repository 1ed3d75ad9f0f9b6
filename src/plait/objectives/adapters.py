"""Adapters: one small trained layer per modality between its encoder and the fusion.

Encoders are frozen by default, so without adapters there is nothing of one modality alone that an objective could teach
or slow down. In: encoded vectors of any scale. Out: vectors of the same width; tokens pass unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import present_vectors


class Adapter(nn.Module):
    """x' = x + A norm(x) + a, with A = 0 and a = 0 at the start: a model with fresh adapters is the model without.

    ``norm`` is a layer norm without learned scale.

    Args:
        vector_dim: Width of the vector, in and out.

    When to use: it is there by itself as soon as an objective is on.
    Relatives: ``encoders.tuning`` trains the encoder itself, at its own cost.
    Reference: Houlsby et al. 2019 (adapters, near-identity start); Rebuffi, Bilen, Vedaldi 2017 (residual adapters).
    """

    def __init__(self, vector_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(vector_dim, elementwise_affine=False)
        self.linear = nn.Linear(vector_dim, vector_dim)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vector_BD: Tensor) -> Tensor:
        """Adapt [B, vector_dim]."""
        change_BD: Tensor = self.linear(self.norm(vector_BD))
        return vector_BD + change_BD


def adapt(adapters: nn.ModuleList, encoded: list[Encoded], present_BM: Tensor | None) -> list[Encoded]:
    """Encoded modalities with adapted vectors.

    What a missing modality holds is replaced by zeros first, so that no bit of it reaches an output or a gradient.

    Args:
        adapters: One per modality, in model order.
        encoded: One per modality, in model order.
        present_BM: What is there [B, M], or None: everything.
    """
    if present_BM is None:
        present_BM = torch.ones(len(encoded[0].vector_BD), len(encoded), dtype=torch.bool)
        present_BM = present_BM.to(encoded[0].vector_BD.device)
    vectors = present_vectors(encoded, present_BM)
    return [
        Encoded(adapter(vector_BD), e.tokens_BTD, e.mask_BT)
        for adapter, vector_BD, e in zip(adapters, vectors, encoded, strict=True)
    ]
