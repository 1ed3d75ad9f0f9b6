"""Selective prediction: the risk of the answered rows as the least sure ones are left unanswered.

Rows of equal confidence cannot be told apart, so no order among them is chosen: within a tie the risk is that of an
answered part drawn at random, its expectation. A constant confidence thus has the error rate at every coverage.

Reference: El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017. Of the conventions for the area the plain one: the mean,
over k = 1 to N, of the risk of the k surest rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def risk_coverage(confidence: ArrayLike, loss: ArrayLike) -> tuple[Floats, Floats]:
    """Coverage and risk after each answered row, the surest first.

    Args:
        confidence: How sure the model is of each row, any finite numbers; higher is surer [N].
        loss: Loss of each answer: 1 where it is wrong, or an error of any size [N].

    Returns:
        Coverage k/N and the expected mean loss of the k surest rows, for k = 1 to N, each [N].

    Raises:
        ValueError: No rows, lengths that disagree, or values that are not finite.

    Example:
        >>> coverage, risk = risk_coverage([0.9, 0.8, 0.8, 0.1], [0, 1, 0, 1])
        >>> risk.round(4).tolist()
        [0.0, 0.25, 0.3333, 0.5]
    """
    sure_N, loss_N = (np.asarray(v, dtype=np.float64).reshape(-1) for v in (confidence, loss))
    if len(sure_N) == 0 or len(sure_N) != len(loss_N):
        raise ValueError(f"got {len(sure_N)} confidences and {len(loss_N)} losses; expected one each, of 1 row or more")
    if not (np.isfinite(sure_N).all() and np.isfinite(loss_N).all()):
        raise ValueError("confidences and losses must be finite numbers")
    _, tie_N = np.unique(-sure_N, return_inverse=True)
    mean_T = np.bincount(tie_N, loss_N) / np.bincount(tie_N)
    expected_N = mean_T[np.sort(tie_N)]
    count_N = np.arange(1, len(loss_N) + 1)
    return count_N / len(loss_N), np.cumsum(expected_N) / count_N


def aurc(confidence: ArrayLike, loss: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean risk over all coverages; ties are averaged over their orders.

    Example:
        >>> aurc([0.5] * 4, [1, 0, 0, 0])
        0.25
    """
    return float(risk_coverage(confidence, loss)[1].mean())


def excess_aurc(confidence: ArrayLike, loss: ArrayLike) -> float:
    """The area above that of an oracle which knows the losses (E-AURC, Geifman, Uziel and El-Yaniv 2019), 0 at best."""
    best = aurc(-np.asarray(loss, dtype=np.float64).reshape(-1), loss)
    return aurc(confidence, loss) - best


def coverage_at_risk(confidence: ArrayLike, loss: ArrayLike, risk: float) -> float:
    """The largest share of rows, the surest, whose mean loss is at most ``risk``; 0 where none is."""
    coverage_N, risk_N = risk_coverage(confidence, loss)
    fine = np.flatnonzero(risk_N <= risk + 1e-12)
    return float(coverage_N[fine[-1]]) if len(fine) else 0.0
