"""Conformal prediction: sets and intervals that hold the truth with a given probability, whatever the model.

A score says how badly a class or a number fits a row. The quantile of the scores of calibration rows, which the model
has not seen, bounds those that are believed of a new row. The promise: for rows exchangeable with the calibration rows
the truth is inside with probability ``coverage`` or more; given n calibration rows that share is itself random, Beta(k,
n + 1 - k) where scores have no ties, k = ceil((n + 1) coverage).

Reference: Vovk, Gammerman and Shafer 2005; Sadinle, Lei and Wasserman 2019 (LAC); Romano, Sesia and Candes 2020 (APS);
Angelopoulos et al. 2021 (RAPS); Romano, Patterson and Candes 2019 (CQR).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RAPS_PENALTY = 0.01  # for each class beyond the first few
RAPS_FREE = 5  # classes without penalty


def conformal_quantile(scores: ArrayLike, coverage: float) -> float:
    """The k-th smallest score, k = ceil((n + 1) coverage); infinite where k is larger than n.

    Args:
        scores: Scores of the truth of calibration rows [n]; infinite ones are allowed, NaN is not.
        coverage: Wished probability, between 0 and 1.

    Raises:
        ValueError: A coverage outside (0, 1) or NaN among the scores.

    Example:
        >>> conformal_quantile([3, 1, 2, 5, 4, 9, 8, 7, 6], 0.9), conformal_quantile([1, 2, 3], 0.9)
        (9.0, inf)
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; expected a number between 0 and 1, such as 0.9")
    scores_N = np.sort(np.asarray(scores, dtype=np.float64).reshape(-1))
    if np.isnan(scores_N).any():
        raise ValueError("scores hold NaN")
    rank = quantile_rank(len(scores_N), coverage)
    return math.inf if rank > len(scores_N) else float(scores_N[rank - 1])


def quantile_rank(n: int, coverage: float) -> int:
    """ceil((n + 1) coverage), in exact arithmetic of the coverage as it is written: .9 is nine tenths."""
    return math.ceil((n + 1) * Fraction(repr(float(coverage))))


def fewest_rows(coverage: float) -> int:
    """The fewest calibration rows whose quantile is finite: 9 for 0.9, 19 for 0.95."""
    n = max(0, math.floor(1 / (1 - coverage)) - 2)
    while quantile_rank(n, coverage) > n:
        n += 1
    return n


def lac_scores(proba: ArrayLike) -> Floats:
    """Score of every class: 1 less its probability [N, C] (LAC, the smallest sets on average)."""
    return 1.0 - np.asarray(proba, dtype=np.float64)


def aps_scores(proba: ArrayLike, share: ArrayLike = 0.0) -> Floats:
    """Score of every class: the probability of all likelier classes, and a share of its own [N, C].

    With share 0, which is not random, the likeliest class scores 0, so that no set is empty; with 1 its own probability
    counts in full; uniform draws in [0, 1) make the coverage exact. Of equally likely classes the first comes first.

    Args:
        proba: Probabilities [N, C].
        share: Share of its own probability that counts, one number or one a row.
    """
    proba_NC = np.asarray(proba, dtype=np.float64)
    order = np.argsort(-proba_NC, axis=1, kind="stable")
    sorted_NC = np.take_along_axis(proba_NC, order, 1)
    part = np.asarray(share, dtype=np.float64)
    part = part[:, None] if part.ndim == 1 else part
    before_NC = np.cumsum(sorted_NC, axis=1) - sorted_NC
    before_NC[:, 0] = 0.0
    made = np.empty_like(proba_NC)
    np.put_along_axis(made, order, before_NC + part * sorted_NC, 1)
    return made


def raps_scores(
    proba: ArrayLike, share: ArrayLike = 0.0, *, penalty: float = RAPS_PENALTY, free: int = RAPS_FREE
) -> Floats:
    """APS with a penalty for every class beyond the ``free`` likeliest, which keeps sets short [N, C]."""
    proba_NC = np.asarray(proba, dtype=np.float64)
    order = np.argsort(-proba_NC, axis=1, kind="stable")
    rank_NC = np.empty_like(proba_NC)
    np.put_along_axis(rank_NC, order, np.broadcast_to(np.arange(1.0, proba_NC.shape[1] + 1), proba_NC.shape), 1)
    return aps_scores(proba_NC, share) + penalty * np.maximum(0.0, rank_NC - free)


def scores_of_truth(scores: ArrayLike, target: ArrayLike) -> Floats:
    """The scores of the true classes [N]; infinite for a class that the model does not have (-1)."""
    scores_NC, target_N = np.asarray(scores, dtype=np.float64), np.asarray(target, dtype=np.int64)
    found = scores_NC[np.arange(len(target_N)), np.maximum(target_N, 0)]
    return np.where(target_N < 0, np.inf, found)


def prediction_sets(scores: ArrayLike, limit: ArrayLike) -> Bools:
    """Which classes are believed, bool [N, C]: those whose score is at most the limit (a number, or [N], or [N, C])."""
    bound = np.asarray(limit, dtype=np.float64)
    found: Bools = np.asarray(scores, dtype=np.float64) <= (bound[:, None] if bound.ndim == 1 else bound)
    return found


def quantile_interval_scores(low: ArrayLike, high: ArrayLike, target: ArrayLike) -> Floats:
    """Score of conformalised quantile regression (CQR): how far the truth lies outside, negative inside [N].

    Split conformal intervals are those of ``low = high =`` prediction, whose score is the absolute residual.
    """
    low_N, high_N, truth_N = (np.asarray(v, dtype=np.float64).reshape(-1) for v in (low, high, target))
    return np.maximum(low_N - truth_N, truth_N - high_N)
