"""Whether an explanation is to be trusted: completeness, deletion and insertion, and the test with a new head."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.explain.inputs.curves import deletion_and_insertion

EXACT_GAP = 1e-6  # Shapley values add up by construction
GRADIENT_GAP = 0.1  # of the whole way, left over by the integral
SAME_ORDER = 0.7  # rank correlation with explanations of new heads above which the model plays no part


def completeness(value_P: np.ndarray, full: float, nothing: float, method: str) -> dict[str, Any]:
    """What the parts leave over of the way from nothing to everything.

    Occlusion promises no sum: its residual is told and fails nothing. Relevance is no share of the score at all.
    """
    if method == "attention":
        return {"passes": None, "why": "relevance is no share of the score, so nothing has to add up"}
    whole = full - nothing
    residual = float(value_P.sum() - whole)
    share = abs(residual) / max(abs(whole), 1e-9)
    limit = {"shapley": EXACT_GAP, "gradients": GRADIENT_GAP}.get(method)
    allowed = None if limit is None else bool(share <= limit or abs(residual) <= EXACT_GAP)
    return {"sum": float(value_P.sum()), "whole": whole, "residual": residual, "share": share, "passes": allowed}


def new_heads(value_P: np.ndarray, others_PK: np.ndarray | None) -> dict[str, Any]:
    """Mean rank correlation (Spearman) of the parts' values with those under newly drawn heads."""
    if others_PK is None or others_PK.shape[1] == 0 or len(value_P) < 3:
        why = "an ensemble has no one head to draw anew" if others_PK is None else "too few parts to rank"
        return {"passes": None, "why": why}
    found = [spearman(value_P, others_PK[:, k]) for k in range(others_PK.shape[1])]
    mean = float(np.mean(found))
    return {"correlation": mean, "heads": len(found), "limit": SAME_ORDER, "passes": bool(mean <= SAME_ORDER)}


def spearman(a_P: np.ndarray, b_P: np.ndarray) -> float:
    """Rank correlation, ties at their mean rank; 0 where either is constant."""
    ranks = [_mean_ranks(v) for v in (a_P, b_P)]
    spread = [r.std() for r in ranks]
    if min(spread) == 0:
        return 0.0
    return float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / (spread[0] * spread[1]))


def _mean_ranks(values_P: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values_P, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2.0)[place]


def failures(checks: dict[str, Any]) -> list[str]:
    """What failed, in words."""
    said = []
    if checks["completeness"]["passes"] is False:
        said.append(f"the parts miss {100 * checks['completeness']['share']:.0f}% of the way they should add up to")
    if checks["curves"]["passes"] is False:
        said.append("hiding or showing the parts in its order does no better than in random order")
    if checks["new_heads"]["passes"] is False:
        said.append(
            f"newly drawn heads give nearly the same order (rank correlation {checks['new_heads']['correlation']:.2f})"
        )
    return said


def all_checks(
    scores: Any, value_P: np.ndarray, others_PK: np.ndarray | None, full: float, nothing: float, method: str,
    *, orders: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Every check of one explanation."""
    return {
        "completeness": completeness(value_P, full, nothing, method),
        "curves": deletion_and_insertion(scores, value_P, orders=orders, seed=seed),
        "new_heads": new_heads(value_P, others_PK),
    }
