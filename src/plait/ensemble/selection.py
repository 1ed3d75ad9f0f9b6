"""Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes, ICML 2004).

Begins with the best single member and adds, one by one, the member that lowers the validation loss of the average most,
until none does. The result is therefore never worse on the validation rows than the best single member. Where members
are equal the simpler one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 30
LEAST_WEIGHT = 0.02
LEAST_GAIN = 1e-4  # of the loss, relative: less is noise
DRAWS = 20  # resamples of the rows
LEAST_ROWS = 20  # that have all of a pattern; with fewer, rows that have some of it choose too
Pattern = tuple[bool, ...]
MOST_CELLS = 1_000_000  # outputs that are measured at once
RowLosses = Callable[[np.ndarray, np.ndarray], np.ndarray]


def select_steadily(
    outputs_KNC: np.ndarray, losses: RowLosses, simplicity: Sequence[int], groups_N: np.ndarray, seed: int
) -> np.ndarray:
    """Weights [K] of ``select`` on resamples of the rows, averaged; never worse on the rows than the best member.

    Few rows choose a member by luck; chosen anew on rows drawn with replacement (groups as a whole), luck averages out.

    Args:
        outputs_KNC: Outputs of each member.
        losses: As ``select``.
        simplicity: Rank of each member, the simplest lowest.
        groups_N: Rows with equal numbers are drawn together.
        seed: Of the draws.
    """
    num_rows = outputs_KNC.shape[1]
    rng = np.random.default_rng([seed, num_rows])
    unit_N = np.unique(groups_N, return_inverse=True)[1].reshape(-1)
    units = int(unit_N.max()) + 1
    drawn_DU = [np.bincount(rng.integers(0, units, units), minlength=units) for _ in range(DRAWS)]
    counts_DN = np.concatenate([np.ones((1, num_rows)), np.stack(drawn_DU)[:, unit_N]])
    weights_DK = _select_on(outputs_KNC, losses, simplicity, counts_DN)
    steady: np.ndarray = np.mean(weights_DK[1:], axis=0)
    steady[steady < LEAST_WEIGHT] = 0.0
    steady /= steady.sum()
    everything = np.arange(num_rows)
    best = min(float(losses(outputs, everything).mean()) for outputs in outputs_KNC)
    joint = float(losses(np.einsum("k,knc->nc", steady, outputs_KNC), everything).mean())
    return steady if joint <= best else np.asarray(weights_DK[0])


def select(outputs_KNC: np.ndarray, losses: RowLosses, simplicity: Sequence[int]) -> np.ndarray:
    """Weights of members [K], not negative, adding up to one.

    Args:
        outputs_KNC: Outputs of each member on validation rows.
        losses: Outputs [M, C] and the positions of the rows that they are of [M], which may come again, to the loss of
            each [M]; lower is better.
        simplicity: Rank of each member, the simplest lowest.

    Example:
        >>> outputs = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
        >>> select(outputs, lambda o, at: ((o - 0.5) ** 2).mean(1), [0, 1]).tolist()
        [0.5, 0.5]
    """
    return _select_on(outputs_KNC, losses, simplicity, np.ones((1, outputs_KNC.shape[1])))[0]


def _select_on(
    outputs_KNC: np.ndarray, losses: RowLosses, simplicity: Sequence[int], counts_DN: np.ndarray
) -> np.ndarray:
    """Weights chosen on each of several draws, by how often each row was drawn [D, K]."""
    at_once = max(1, MOST_CELLS // outputs_KNC.size)
    pieces = [counts_DN[i : i + at_once] for i in range(0, len(counts_DN), at_once)]
    order = np.argsort(simplicity, kind="stable")
    return np.concatenate([_select_together(outputs_KNC[order], losses, piece) for piece in pieces])[
        :, np.argsort(order)
    ]


def _select_together(outputs_KNC: np.ndarray, losses: RowLosses, counts_DN: np.ndarray) -> np.ndarray:
    """Weights of members that stand in order, the simplest first, chosen on each draw [D, K]."""
    num_members, num_rows, width = outputs_KNC.shape
    num_draws = len(counts_DN)
    share_DN = counts_DN / counts_DN.sum(1, keepdims=True)

    def of_draws(outputs_DKNC: np.ndarray) -> np.ndarray:
        """Mean loss of each draw and member [D, K]; members alike have the very same."""
        made = len(outputs_DKNC)
        rows = np.tile(np.arange(num_rows), made * num_members)
        loss_DKN = losses(outputs_DKNC.reshape(-1, width), rows).reshape(made, num_members, num_rows)
        mean_DK: np.ndarray = (loss_DKN * share_DN[:, None]).sum(-1)
        return mean_DK

    single_DK, draws = of_draws(outputs_KNC[None]), np.arange(num_draws)
    least_D1 = single_DK.min(1, keepdims=True)
    first_D = (single_DK <= least_D1 * (1 + 1e-9) + 1e-12).argmax(1)
    count_DK = np.zeros((num_draws, num_members), dtype=np.int64)
    count_DK[draws, first_D] = 1
    total_DNC, best_D, kept_DK = outputs_KNC[first_D], least_D1[:, 0], count_DK.copy()
    for size in range(2, ROUNDS + 1):
        tried_DK = of_draws((total_DNC[:, None] + outputs_KNC) / size)
        chosen_D, found_D = tried_DK.argmin(1), tried_DK.min(1)
        count_DK[draws, chosen_D] += 1
        total_DNC = total_DNC + outputs_KNC[chosen_D]
        is_better_D = found_D < best_D - LEAST_GAIN * np.abs(best_D)
        best_D = np.where(is_better_D, found_D, best_D)
        kept_DK[is_better_D] = count_DK[is_better_D]
    weights_DK: np.ndarray = kept_DK / kept_DK.sum(1, keepdims=True)
    return weights_DK


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
