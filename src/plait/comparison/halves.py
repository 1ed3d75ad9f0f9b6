"""Two halves of the validation rows, for a part that is fitted on them and still has to be scored there.

Encoded targets and group numbers come in, two arrays of positions go out. Groups stay whole, since a row is no
stranger to others of its group, and every class is shared out as evenly as the groups allow, since a half without a
class cannot fit it.
"""

from __future__ import annotations

import numpy as np

QUANTILES = 4  # a number is shared out by quarters of its range


def two_halves(target: np.ndarray, group_N: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions of two halves.

    Large groups are dealt first, each to the half that leaves the classes less uneven.

    Args:
        target: Encoded targets: class numbers or numbers [N], or labels [N, C].
        group_N: Group number of each row.
        seed: Of the order among groups of one size.

    Example:
        >>> a, b = two_halves(np.array([0, 0, 1, 1]), np.arange(4))
        >>> len(a), len(b)
        (2, 2)
    """
    members_NK = np.concatenate([_membership(target), np.ones((len(target), 1))], axis=1)
    members_NK = members_NK / np.maximum(members_NK.sum(axis=0), 1.0)
    _, place_N = np.unique(group_N, return_inverse=True)
    num_groups = int(place_N.max()) + 1 if len(place_N) else 0
    share_GK = np.zeros((num_groups, members_NK.shape[1]))
    np.add.at(share_GK, place_N, members_NK)
    size_G = np.bincount(place_N, minlength=num_groups)
    order = np.random.default_rng(seed).permutation(num_groups)
    order = order[np.argsort(-size_G[order], kind="stable")]
    ahead_K = np.zeros(members_NK.shape[1])
    is_first_G = np.zeros(num_groups, dtype=bool)
    for g in order:
        is_first_G[g] = ((ahead_K + share_GK[g]) ** 2).sum() <= ((ahead_K - share_GK[g]) ** 2).sum()
        ahead_K += share_GK[g] if is_first_G[g] else -share_GK[g]
    is_first_N = is_first_G[place_N]
    return np.flatnonzero(is_first_N), np.flatnonzero(~is_first_N)


def _membership(target: np.ndarray) -> np.ndarray:
    """One column a class, a label or a quarter of the numbers [N, K]."""
    if target.ndim == 2:
        return target.astype(np.float64)
    if target.dtype.kind == "f":
        limits = np.quantile(target, np.arange(1, QUANTILES) / QUANTILES) if len(target) else np.zeros(QUANTILES - 1)
        target = np.searchsorted(limits, target)
    _, place_N = np.unique(target, return_inverse=True)
    return np.eye(int(place_N.max()) + 1 if len(place_N) else 0)[place_N]
