"""Hubs: some items are near to everything. Corrected inside the vector, so that any index searches without them.

An item's hub score r is its mean cosine with its nearest training items of the other sides. Search by
cos(x, y) - (r(x) + r(y)) / 2 in place of the cosine finds more right items (CSLS), and the correction fits into unit
vectors: each side holds -r / 2c in a coordinate of its own and c in those of the others, and a filler of its own makes
all lengths equal. The inner product of two sides is then the corrected cosine, a constant apart, over ``stretch``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 10
MAX_COHORT = 4096


def hub_score(unit_BD: Tensor, cohort_ND: Tensor) -> Tensor:
    """Mean cosine of each item with its ten nearest of a cohort [B]."""
    near_BK = (unit_BD @ cohort_ND.T).topk(min(NEIGHBOURS, len(cohort_ND)), dim=1).values
    return near_BK.mean(1)


def stretch(num_sides: int) -> float:
    """Square of the length before it is brought to 1, the least that holds every hub score: 1 + sqrt(M - 1)."""
    return 1.0 + (num_sides - 1) ** 0.5


def crossing(num_sides: int) -> float:
    """What a side holds in the coordinates of the others, before the length is brought to 1."""
    return (1 / (2 * (num_sides - 1) ** 0.5)) ** 0.5


def resting(num_sides: int) -> float:
    """What coordinates of third sides add to every inner product of two sides, times ``stretch``; 0 for two sides."""
    return (num_sides - 2) * crossing(num_sides) ** 2


def hub_inside(vector_D: np.ndarray, plain_dim: int, side: int) -> float:
    """The hub score that a vector of a side carries, read back from it.

    Args:
        vector_D: What ``with_hubs`` gave for one item.
        plain_dim: Its leading coordinates that hold the unit vector.
        side: Its side.
    """
    sides = (len(vector_D) - plain_dim) // 2
    return float(-vector_D[plain_dim + side]) * stretch(sides) ** 0.5 * 2 * crossing(sides)


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
