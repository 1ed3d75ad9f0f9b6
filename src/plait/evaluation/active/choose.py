"""The rows to label next: a strategy's choice without rows that show the same, and with every group in its turn.

Rows with equal contents are one, and of rows that show nearly the same one is chosen. Rows of one group teach much the
same, so a second one of a group comes only when every group has one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.evaluation.active.pool import Pool
from plait.evaluation.active.strategies import STRATEGIES, Wanted, check_strategy
from plait.evaluation.active.words import alike

NEARLY = 0.01  # of the mean squared distance of two rows: nearer ones show nearly the same
EQUAL = 1e-12  # the same of numbers and categories


@dataclass(frozen=True)
class Suggestion:
    """A row to label: its position in the pool, the strategy's score and its reason in words."""

    position: int
    score: float
    reason: str


def choose_rows_to_label(
    pool: Pool, positions: np.ndarray, count: int, *, strategy: str = "mixed", seed: int = 0,
    labelled: list[np.ndarray] | None = None,
) -> tuple[list[Suggestion], int]:  # fmt: skip
    """Choose.

    Args:
        pool: The rows.
        positions: Those that may be chosen.
        count: How many, fewer where fewer rows differ.
        strategy: Name of a strategy.
        seed: Of what is drawn; the same seed chooses the same rows.
        labelled: Vectors of labelled rows, a modality each [L, D], which the strategies that look at differences keep
            away from; None: not known.

    Returns:
        The suggestions in the order of choice, and how many rows were passed over because they show (nearly) the same
        as one of them.

    Raises:
        ValueError: As :func:`check_strategy`.
    """
    check_strategy(strategy, pool)
    parts, taken = _spaces(pool, labelled)
    space_ND = np.concatenate(parts, axis=1)
    left, twins_of = _without_twins(pool, positions)
    chosen: list[Suggestion] = []
    passed = 0
    groups: set[object] = set()
    record = STRATEGIES.get(strategy)
    score_N = None if record.score is None else record.score(pool)
    while len(chosen) < count and len(left):
        fresh = np.array([p for p in left if _group(pool, p) not in groups], dtype=np.int64)
        if len(fresh) == 0:
            groups, fresh = set(), left
        fresh = _one_a_group(pool, fresh, score_N)
        at = [s.position for s in chosen]
        taken_ED = np.concatenate([taken, space_ND[at]]) if at else taken
        picked = record.pick(pool, Wanted(fresh, count - len(chosen), seed + len(chosen), space_ND, taken_ED))
        for p, score, reason in zip(picked.positions, picked.scores, picked.reasons, strict=True):
            if _is_near(pool, parts, p, [s.position for s in chosen]):
                passed += 1 + len(twins_of[p])
                continue
            twins = twins_of[p]
            passed += len(twins)
            chosen.append(Suggestion(p, float(score), f"{reason}; {alike(len(twins))}" if twins else reason))
            groups |= {_group(pool, p)} - {None}
        left = left[~np.isin(left, picked.positions)]
    return chosen, passed


def _group(pool: Pool, position: int) -> object:
    found = pool.group[int(position)]
    return None if found is None or found != found else found


def _one_a_group(pool: Pool, positions: np.ndarray, score_N: np.ndarray | None) -> np.ndarray:
    """Of each group the row with the highest score, the first where there is none; and all rows without a group."""
    best: dict[object, int] = {}
    kept = []
    for p in positions.tolist():
        group = _group(pool, p)
        if group is None:
            kept.append(p)
        elif group not in best or (score_N is not None and score_N[p] > score_N[best[group]]):
            best[group] = p
    return np.array(sorted([*kept, *best.values()]), dtype=np.int64)


def _without_twins(pool: Pool, positions: np.ndarray) -> tuple[np.ndarray, dict[int, list[int]]]:
    """The first of all rows that show the same, and the others of each."""
    first: dict[object, int] = {}
    twins: dict[int, list[int]] = {}
    for p in positions.tolist():
        key = pool.keys[p] if pool.keys[p] is not None else ("nothing",)
        one = first.setdefault(key, p)
        twins.setdefault(one, [])
        if one != p:
            twins[one].append(p)
    return np.array(list(twins), dtype=np.int64), twins


def _spaces(pool: Pool, labelled: list[np.ndarray] | None) -> tuple[list[np.ndarray], np.ndarray]:
    """Vectors of each modality about their mean, of which two rows at random are sqrt(2) apart, and labelled rows so.

    A missing modality stands at the mean.
    """
    parts, taken = [], []
    for m, vectors_ND in enumerate(pool.vectors):
        there_N = pool.there_NM[:, m]
        mean_D = vectors_ND[there_N].mean(0) if there_N.any() else np.zeros(vectors_ND.shape[1])
        scale = np.sqrt(((vectors_ND[there_N] - mean_D) ** 2).sum(1).mean()) if there_N.any() else 0.0
        scale = scale if scale > 0 else 1.0
        parts.append(np.where(there_N[:, None], (vectors_ND - mean_D) / scale, 0.0))
        if labelled is not None:
            there_L = labelled[m].any(1)
            taken.append(np.where(there_L[:, None], (labelled[m] - mean_D) / scale, 0.0))
    width = sum(part.shape[1] for part in parts)
    return parts, np.concatenate(taken, axis=1) if taken else np.empty((0, width))


def _is_near(pool: Pool, parts: list[np.ndarray], position: int, chosen: list[int]) -> bool:
    """Whether a chosen row shows nearly the same: what it has is what this one has, and every modality is near."""
    if not chosen:
        return False
    near_S = (pool.there_NM[chosen] == pool.there_NM[position]).all(1)
    for m, part_ND in enumerate(parts):
        square_S = ((part_ND[chosen] - part_ND[position]) ** 2).sum(1) / 2.0
        near_S &= square_S <= (EQUAL if pool.exact_M[m] else NEARLY)
    return bool(near_S.any())
