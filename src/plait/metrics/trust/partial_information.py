"""How much two modalities say about a label alone, both alike, and only together: redundancy, unique shares, synergy.

Discrete variables come in (clusters of features and classes), bits go out. Of all distributions that agree with the
data on each modality with the label, that in which both modalities together say least is taken: what the data say
beyond it is synergy. Redundancy + unique + unique + synergy is the mutual information of both with the label.

Reference: Bertschinger et al. 2014 (quantifying unique information), equations 5 to 9; Liang et al. 2023 (quantifying
and modeling multimodal interactions), the estimator by convex programming; here solved by alternating projections.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class PartialInformation(NamedTuple):
    """Shares of what two modalities say about a label, in bits."""

    redundancy: float
    unique_1: float
    unique_2: float
    synergy: float

    @property
    def total(self) -> float:
        """Mutual information of both modalities together with the label."""
        return float(sum(self))


def joint_counts(first: ArrayLike, second: ArrayLike, label: ArrayLike) -> Floats:
    """Share of rows by first modality, second modality and label [A, B, C]; values are whole numbers from 0."""
    parts = [np.asarray(v, dtype=np.int64) for v in (first, second, label)]
    if len({p.shape for p in parts}) != 1 or parts[0].ndim != 1 or len(parts[0]) == 0:
        raise ValueError(f"shapes are {[p.shape for p in parts]}; expected one whole number a row in each")
    counts = np.zeros([int(p.max()) + 1 for p in parts])
    np.add.at(counts, tuple(parts), 1.0)
    return np.asarray(counts / counts.sum())


def partial_information(joint_ABC: ArrayLike, *, steps: int = 2000, tolerance: float = 1e-9) -> PartialInformation:
    """The four shares of a joint distribution.

    Args:
        joint_ABC: Probabilities of first modality, second modality and label ``[A, B, C]``; they add up to 1.
        steps: Most steps of the search for the distribution that says least.
        tolerance: Bits; smaller gains of a step end the search.

    Raises:
        ValueError: Another shape, negative numbers, or a sum other than 1.

    Example:
        >>> xor = np.zeros((2, 2, 2)); xor[[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]] = 0.25
        >>> [round(x, 3) for x in partial_information(xor)]
        [0.0, 0.0, 0.0, 1.0]
    """
    joint = np.asarray(joint_ABC, dtype=np.float64)
    if joint.ndim != 3 or (joint < 0).any() or abs(joint.sum() - 1.0) > 1e-6:
        raise ValueError(f"a joint of shape {joint.shape} and sum {joint.sum():.6g}; expected [A, B, C] adding up to 1")
    least = _least_telling(joint, steps, tolerance)
    together, at_least = information(joint.reshape(-1, joint.shape[2])), information(least.reshape(-1, joint.shape[2]))
    first, second = information(joint.sum(axis=1)), information(joint.sum(axis=0))
    synergy = max(0.0, together - at_least)
    unique_1, unique_2 = max(0.0, at_least - second), max(0.0, at_least - first)
    return PartialInformation(max(0.0, first - unique_1), unique_1, unique_2, synergy)


def information(joint_XC: ArrayLike) -> float:
    """Mutual information of a joint distribution [X, C], in bits."""
    joint = np.asarray(joint_XC, dtype=np.float64)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / product[there])).sum())


def _least_telling(joint: Floats, steps: int, tolerance: float) -> Floats:
    """The distribution with these two margins under which both modalities together say least about the label.

    What they say is the smallest divergence from a product r(a, b) p(c). Alternately the best r for q is q summed over
    labels, and the best q for r is r scaled to the margins of each label (Sinkhorn); both only lower it.
    """
    of_first, of_second = joint.sum(axis=1), joint.sum(axis=0)  # [A, C], [B, C]
    of_label = of_first.sum(axis=0)
    found = of_first[:, None, :] * of_second[None] / np.where(of_label > 0, of_label, 1.0)
    before = np.inf
    for _ in range(steps):
        both = found.sum(axis=2)
        found = np.repeat(both[:, :, None], joint.shape[2], axis=2)
        for _ in range(50):
            rows = found.sum(axis=1, keepdims=True)
            found = found * np.divide(of_first[:, None, :], rows, out=np.zeros_like(rows), where=rows > 0)
            columns = found.sum(axis=0, keepdims=True)
            found = found * np.divide(of_second[None], columns, out=np.zeros_like(columns), where=columns > 0)
            if np.abs(found.sum(axis=1) - of_first).max() < 1e-12:
                break
        now = information(found.reshape(-1, joint.shape[2]))
        if before - now < tolerance:
            break
        before = now
    return np.asarray(found)
