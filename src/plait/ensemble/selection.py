"""Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, ICML 2004).

Begins with the best single member and adds, one by one, the member that lowers the validation loss of the average most,
until none does. The result is therefore never worse on the validation rows than the best single member. Where members
are equal the simpler one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 30
LEAST_GAIN = 1e-4  # of the loss, relative: less is noise
Loss = Callable[[np.ndarray], float]


def select(outputs_KNC: np.ndarray, loss: Loss, simplicity: Sequence[int]) -> np.ndarray:
    """Weights of members [K], not negative, adding up to one.

    Args:
        outputs_KNC: Outputs of each member on validation rows.
        loss: Outputs [N, C] to their loss; lower is better.
        simplicity: Rank of each member, the simplest lowest.

    Example:
        >>> outputs = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
        >>> select(outputs, lambda o: float(((o - 0.5) ** 2).mean()), [0, 1]).tolist()
        [0.5, 0.5]
    """
    order = np.argsort(simplicity, kind="stable")
    losses = np.array([loss(outputs_KNC[k]) for k in order])
    count_K = np.zeros(len(outputs_KNC), dtype=np.int64)
    first = order[int(np.flatnonzero(losses <= losses.min() * (1 + 1e-9) + 1e-12)[0])]
    count_K[first] = 1
    total, best = outputs_KNC[first].copy(), float(losses.min())
    kept = count_K.copy()
    for size in range(2, ROUNDS + 1):
        tried = np.array([loss((total + outputs_KNC[k]) / size) for k in order])
        chosen = order[int(tried.argmin())]
        count_K[chosen] += 1
        total += outputs_KNC[chosen]
        if tried.min() < best - LEAST_GAIN * abs(best):
            best, kept = float(tried.min()), count_K.copy()
    weights: np.ndarray = kept / kept.sum()
    return weights


def patterns_of(num_modalities: int, present_NM: np.ndarray) -> list[tuple[bool, ...]]:
    """Patterns of presence that members are chosen for: all up to four modalities, else those that matter.

    With more they are everything, each alone, all but one, and those that the rows show.
    """
    if num_modalities <= 4:
        codes = range(1, 2**num_modalities)
        found = [tuple(bool(code >> m & 1) for m in range(num_modalities)) for code in codes]
        return sorted(found, key=lambda p: (-sum(p), p))
    every = tuple([True] * num_modalities)
    alone = [tuple(i == m for i in range(num_modalities)) for m in range(num_modalities)]
    without = [tuple(i != m for i in range(num_modalities)) for m in range(num_modalities)]
    seen = [tuple(bool(v) for v in row) for row in np.unique(present_NM, axis=0)]
    return list(dict.fromkeys([every, *without, *alone, *(s for s in seen if any(s))]))
