"""Numbers of the space that vectors with a correction for hubs lie in (:mod:`plait.heads.hubs`); no PyTorch needed."""

from __future__ import annotations

import numpy as np


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
