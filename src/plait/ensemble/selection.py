"""Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, ICML 2004).

Begins with the best single member and adds, one by one, the member that lowers the validation loss of the average most,
until none does. The result is therefore never worse on the validation rows than the best single member. Where members
are equal the simpler one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

ROUNDS = 30
LEAST_WEIGHT = 0.02
LEAST_GAIN = 1e-4  # of the loss, relative: less is noise
DRAWS = 20  # resamples of the rows
LEAST_ROWS = 20  # that have all of a pattern; with fewer, rows that have some of it choose too
Pattern = tuple[bool, ...]
Loss = Callable[[np.ndarray], float]
RowLoss = Callable[[np.ndarray, np.ndarray], float]


def select_steadily(
    outputs_KNC: np.ndarray, loss: RowLoss, simplicity: Sequence[int], groups_N: np.ndarray, seed: int
) -> np.ndarray:
    """Weights [K] of ``select`` on resamples of the rows, averaged; never worse on the rows than the best member.

    Few rows choose a member by luck; chosen anew on rows drawn with replacement (groups as a whole), luck averages out.

    Args:
        outputs_KNC: Outputs of each member.
        loss: Outputs and positions of the rows that they are of to their loss.
        simplicity: Rank of each member, the simplest lowest.
        groups_N: Rows with equal numbers are drawn together.
        seed: Of the draws.
    """
    everything = np.arange(outputs_KNC.shape[1])
    plain = select(outputs_KNC, lambda outputs: loss(outputs, everything), simplicity)
    rng = np.random.default_rng([seed, len(everything)])
    units = [np.flatnonzero(groups_N == g) for g in np.unique(groups_N)]
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([units[i] for i in rng.integers(0, len(units), len(units))])
        drawn.append(select(outputs_KNC[:, rows], partial(_at, loss, rows), simplicity))
    steady: np.ndarray = np.mean(drawn, axis=0)
    steady[steady < LEAST_WEIGHT] = 0.0
    steady /= steady.sum()
    best = min(loss(outputs, everything) for outputs in outputs_KNC)
    return steady if loss(np.einsum("k,knc->nc", steady, outputs_KNC), everything) <= best else plain


def _at(loss: RowLoss, rows: np.ndarray, outputs: np.ndarray) -> float:
    return loss(outputs, rows)


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


def rows_of_pattern(present_NM: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Which rows a pattern is chosen for and measured by: those that have all of it, as it answers those.

    Where fewer than 20 have all of it, those that have some of it.
    """
    shown_NM = present_NM[:, np.array(pattern)]
    whole = np.flatnonzero(shown_NM.all(1))
    return whole if len(whole) >= LEAST_ROWS else np.flatnonzero(shown_NM.any(1))


def weights_of_nothing(present_NM: np.ndarray) -> np.ndarray:
    """How much each training row says of a row that has nothing [N]: one for each modality that it lacks.

    What is missing is often not missing by chance. All rows together say as much as 20 that lack something, which is
    all that is left where none does.

    Example:
        >>> weights_of_nothing(np.array([[True, True], [False, True]])).tolist()
        [10.0, 11.0]
    """
    lacking_N = (~present_NM).sum(1)
    return np.asarray(lacking_N + LEAST_ROWS / len(present_NM))


def seen(uses: Sequence[int], pattern: Pattern) -> Pattern:
    """What a member sees of a pattern: of modalities that it does not read, nothing."""
    return tuple(there and m in uses for m, there in enumerate(pattern))


def patterns_of(num_modalities: int, present_NM: np.ndarray) -> list[Pattern]:
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
