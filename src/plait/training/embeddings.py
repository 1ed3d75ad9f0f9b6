"""Fitting towers: what chooses the epoch, which rows can be learned from at all, and hard negatives.

Retrieval has no target; a row is right for itself and for the rows of its group (the captions of one photo).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np

from plait.inference.embedding import embed_rows
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import Prepared
from plait.metrics.ranking import KS
from plait.metrics.retrieval_directions import directions_of, measure_direction
from plait.model import PlaitModel
from plait.training.plan import Plan
from plait.training.scores import EPOCH_SCORES

MINED_AT_ONCE = 1024


def retrieval_score(plan: Plan, model: PlaitModel, val: RowBatches) -> dict[str, float]:
    """Hit rates on validation rows in every direction; under "score" their mean, absent where nothing can be ranked."""
    unit_NMD = embed_rows(model, val)
    numbers: dict[str, float] = {}
    rates: list[float] = []
    for direction in directions_of(model.config.modality_names, val.index_NM, val.group_N):
        if not direction.is_measurable:
            continue
        found = measure_direction(direction, unit_NMD, val.group_N)
        for k in KS:
            rates.append(float(found[f"hit_rate@{k}"].mean()))
            numbers[f"{direction.name}_hit_rate@{k}"] = rates[-1]
    if not rates:
        return {}
    return {"mean_hit_rate": float(np.mean(rates)), **numbers, "score": float(np.mean(rates))}


def check_pairs(prepared: Prepared, group_N: np.ndarray, train: np.ndarray, source: str) -> None:
    """Refuse training rows from which no side can learn to find another.

    Raises:
        ValueError: A column without any value, fewer than two rows with two sides, or all of one group.
    """
    present_NM = prepared.rows.present_NM[train]
    for name, there in zip(prepared.rows.items, present_NM.any(0), strict=True):
        if not there:
            raise ValueError(
                f"no training row of {source} has a readable value in column {name!r}; leave it out with "
                f"ignore={name!r}, or mend it"
            )
    whole = train[present_NM.sum(1) >= 2]
    if len(whole) < 2:
        raise ValueError(
            f"retrieval learns from rows with two sides that belong together, and {len(whole)} of {len(train)} "
            f"training rows of {source} have two; at least 2 are needed"
        )
    if len(np.unique(group_N[whole])) < 2:
        raise ValueError(
            f"all {len(whole)} training rows of {source} are of one group, so none is a wrong answer to another; name "
            "another group column (group=COLUMN)"
        )


def mine_before_epochs(model: PlaitModel, rows: RowBatches, shown: RowBatches, num_hard: int) -> Callable[[], None]:
    """What a training set calls before each epoch: find for each row its hardest negatives as the model is then.

    Args:
        model: The model.
        rows: The training rows as they are.
        shown: The same rows as training sees them, which are given the negatives; perhaps the same object.
        num_hard: Negatives a row.
    """

    def mine() -> None:
        shown.hard_NK = None
        shown.hard_NK = hard_negatives(embed_rows(model, rows), rows.index_NM, rows.group_N, num_hard)

    return mine


def hard_negatives(unit_NMD: np.ndarray, index_NM: np.ndarray, group_N: np.ndarray, num_hard: int) -> np.ndarray:
    """For each row the rows of other groups whose sides are nearest to its own [N, K]; -1 where there is none.

    Near means the largest cosine between any side of the row and another side of the other row. A group gives one row
    at most, and rows that share an item with the row are left out, as they are no negatives.

    Args:
        unit_NMD: Unit vectors, zeros where missing.
        index_NM: Item numbers, -1 where missing.
        group_N: Group of each row.
        num_hard: K.
    """
    rows, sides, _ = unit_NMD.shape
    hard_NK = np.full((rows, num_hard), -1, dtype=np.int64)
    candidates = min(rows, 16 * (num_hard + 1))
    for start in range(0, rows, MINED_AT_ONCE):
        stop = min(start + MINED_AT_ONCE, rows)
        near_CN = np.full((stop - start, rows), -2.0, dtype=np.float32)
        for a, b in permutations(range(sides), 2):
            both = (index_NM[start:stop, a, None] >= 0) & (index_NM[None, :, b] >= 0)
            np.maximum(near_CN, np.where(both, unit_NMD[start:stop, a] @ unit_NMD[:, b].T, -2.0), out=near_CN)
        near_CN[group_N[start:stop, None] == group_N[None]] = -2.0
        for m in range(sides):
            own = index_NM[start:stop, m, None]
            near_CN[(own == index_NM[None, :, m]) & (own >= 0)] = -2.0
        top = np.argpartition(-near_CN, candidates - 1, axis=1)[:, :candidates]
        order = np.take_along_axis(top, np.argsort(-np.take_along_axis(near_CN, top, 1), axis=1, kind="stable"), 1)
        for i, listed in enumerate(order):
            listed = listed[near_CN[i, listed] > -2.0]
            first = np.sort(np.unique(group_N[listed], return_index=True)[1])[:num_hard]
            hard_NK[start + i, : len(first)] = listed[first]
    return hard_NK


EPOCH_SCORES.add("embeddings", retrieval_score)
