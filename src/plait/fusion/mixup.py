"""Mixup of encoded modalities: rows blended with other rows of the batch, and their losses with them.

    x = l x_i + (1 - l) x_j        loss = l loss(y_i) + (1 - l) loss(y_j)        l ~ Beta(a, a), at least 1/2

One l a batch, j a random order of it. A modality is blended where both rows have it; elsewhere row i keeps its own.
It costs nothing on stored vectors. Tokens are not blended.

Reference: Zhang, Cisse, Dauphin and Lopez-Paz 2018 (mixup: Beyond Empirical Risk Minimization), equation 1; on hidden
vectors: Verma et al. 2019 (Manifold Mixup), section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plait.encoders.base import Encoded


def mixed(encoded: list[Encoded], present_BM: Tensor, alpha: float) -> tuple[list[Encoded], Tensor, Tensor]:
    """Blend a batch.

    Args:
        encoded: Modalities, vectors [B, D].
        present_BM: What is there.
        alpha: Of the Beta distribution, above 0.

    Returns:
        Blended modalities, the other row of each row [B], and l, a scalar.
    """
    device = encoded[0].vector_BD.device
    order_B = torch.randperm(len(present_BM), device=device)
    share = torch.distributions.Beta(alpha, alpha).sample().to(device)
    share = torch.maximum(share, 1.0 - share)
    made = []
    for m, one in enumerate(encoded):
        both_B1 = (present_BM[:, m] & present_BM[order_B, m])[:, None]
        blended_BD = share * one.vector_BD + (1.0 - share) * one.vector_BD[order_B]
        made.append(Encoded(torch.where(both_B1, blended_BD, one.vector_BD), one.tokens_BTD, one.mask_BT))
    return made, order_B, share
