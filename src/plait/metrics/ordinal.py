"""Metrics of classes that have an order: how many ranks off, and agreement weighted by distance.

Class numbers are ranks, 0 the lowest. Written in numpy, because the bootstrap calls these a thousand times;
scikit-learn is the oracle in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plait.metrics.label import class_numbers


def ordinal_metrics(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int) -> dict[str, Any]:
    """Mean error in ranks, and the quadratic weighted kappa.

    kappa = 1 - sum_ij w_ij O_ij / sum_ij w_ij E_ij with w_ij = (i - j)^2, O the table of truth against prediction and E
    that of the same margins by chance. 1 is perfect, 0 is chance, below 0 is worse.

    Args:
        y_true: True ranks ``[N]``, 0 to C - 1.
        y_pred: Predicted ranks ``[N]``.
        num_classes: C.

    Returns:
        rank_mae (a float), quadratic_kappa (a float, or None where truth and prediction are all one class) and notes.

    Raises:
        ValueError: No rows, lengths that disagree or a rank outside 0 to C - 1.

    Example:
        >>> ordinal_metrics([0, 1, 2, 2], [0, 1, 2, 0], 3)["rank_mae"]
        0.5

    Reference: Cohen 1968 (weighted kappa).
    """
    truth_N, pred_N = class_numbers(y_true, num_classes, "y_true"), class_numbers(y_pred, num_classes, "y_pred")
    if len(truth_N) != len(pred_N) or len(truth_N) == 0:
        raise ValueError(f"y_true has {len(truth_N)} rows and y_pred {len(pred_N)}; give one each, at least one")
    num_rows = len(truth_N)
    off_N = np.abs(truth_N - pred_N)
    truth_C, pred_C = (np.bincount(v, minlength=num_classes).astype(np.float64) for v in (truth_N, pred_N))
    ranks_C = np.arange(num_classes)
    weights_CC = (ranks_C[:, None] - ranks_C[None, :]) ** 2
    by_chance = float((weights_CC * np.outer(truth_C, pred_C)).sum()) / num_rows
    kappa = None if by_chance == 0 else 1.0 - float((off_N**2).sum()) / by_chance
    notes = [] if kappa is not None else ["quadratic_kappa is undefined: truth and prediction are all one class"]
    return {"rank_mae": float(off_N.mean()), "quadratic_kappa": kappa, "notes": notes}
