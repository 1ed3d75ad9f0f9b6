"""Deletion and insertion (Petsiuk et al. 2018): does the score fall, and rise, fastest where the explanation says?

Held against random orders of the same parts: a curve alone says nothing, since any order falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.explain.inputs.attribution import Scores

MOST_STEPS = 10


def deletion_and_insertion(scores: Scores, value_P: np.ndarray, *, orders: int = 3, seed: int = 0) -> dict[str, Any]:
    """Curves of one explanation and of random orders.

    Args:
        scores: Masks [V, P] of parts that stay to scores [V].
        value_P: What the explanation gives each part; the largest goes, or comes, first.
        orders: Random orders.
        seed: Of those.

    Returns:
        ``steps`` (parts hidden or shown at each point), ``random_curve``, and ``deletion`` and ``insertion`` with
        ``curve``, ``area`` (mean of the curve by the trapezoidal rule), ``random`` (mean area of the random orders) and
        ``passes`` (the deletion area below random, that of insertion above it). ``passes``: both; None with fewer than
        three parts, or where no hiding changes the score.
    """
    count = len(value_P)
    steps = np.unique(np.linspace(0, count, min(count, MOST_STEPS) + 1).round().astype(int))
    order = np.argsort(-value_P, kind="stable")
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(count) for _ in range(orders)]
    masks = [_hidden_first(order, steps), ~_hidden_first(order, steps), *(_hidden_first(d, steps) for d in drawn)]
    found = scores(np.concatenate(masks)).reshape(len(masks), len(steps))
    x = steps / count
    # What a random order hides last, its reverse shows first: one walk serves both curves.
    random_area = float(np.mean([np.trapezoid(curve, x) for curve in found[2:]]))
    deletion, insertion = (float(np.trapezoid(curve, x)) for curve in found[:2])
    spread = float(np.ptp(found))
    each = (None, None) if count < 3 or spread < 1e-6 else (deletion < random_area, insertion > random_area)
    return {
        "steps": steps.tolist(), "orders": orders,
        "deletion": {"curve": found[0].tolist(), "area": deletion, "random": random_area, "passes": each[0]},
        "insertion": {"curve": found[1].tolist(), "area": insertion, "random": random_area, "passes": each[1]},
        "random_curve": found[2:].mean(axis=0).tolist(), "passes": None if None in each else all(each),
    }  # fmt: skip


def _hidden_first(order: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Masks [K, P] of what stays when the first parts of an order are hidden."""
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return rank[None, :] >= steps[:, None]
