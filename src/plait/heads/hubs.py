"""Hubs: some items are near to everything. Corrected inside the vector, so that any index searches without them.

An item's hub score r is its mean cosine with its nearest training items of the other sides. Search by
cos(x, y) - (r(x) + r(y)) / 2 in place of the cosine finds more right items (CSLS), and the correction fits into unit
vectors: each side holds -r / 2c in a coordinate of its own and c in those of the others, and a filler of its own makes
all lengths equal. The inner product of two sides is then the corrected cosine, a constant apart, over ``stretch``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plait.heads.hub_space import crossing

NEIGHBOURS = 10
MAX_COHORT = 4096


def hub_score(unit_BD: Tensor, cohort_ND: Tensor) -> Tensor:
    """Mean cosine of each item with its ten nearest of a cohort [B]."""
    near_BK = (unit_BD @ cohort_ND.T).topk(min(NEIGHBOURS, len(cohort_ND)), dim=1).values
    return near_BK.mean(1)


def with_hubs(unit_BMD: Tensor, hub_BM: Tensor) -> Tensor:
    """Unit vectors with the correction in them [B, M, D + 2M].

    Args:
        unit_BMD: Unit vectors of each side.
        hub_BM: Hub scores, in [-1, 1].

    Reference: Conneau, Lample, Ranzato, Denoyer, Jegou 2018, section 2.3 (CSLS); Radovanovic, Nanopoulos, Ivanovic 2010
        (hubs).
    """
    sides = unit_BMD.shape[1]
    constant = crossing(sides)
    penalty_BM = -hub_BM / (2 * constant)
    filler_BM = ((1 / (2 * constant)) ** 2 - penalty_BM**2).clamp(min=0.0).sqrt()
    own_MM = torch.eye(sides, dtype=unit_BMD.dtype, device=unit_BMD.device)
    shared_BMM = penalty_BM[..., None] * own_MM + constant * (1 - own_MM)
    return functional.normalize(torch.cat([unit_BMD, shared_BMM, filler_BM[..., None] * own_MM], dim=2), dim=2)
