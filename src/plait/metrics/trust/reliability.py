"""The reliability diagram in numbers, and the error that a perfectly calibrated model of this size would show.

Reference: DeGroot and Fienberg 1983; Broecker and Smith 2007 (consistency by resampling); Wilson 1927 (intervals).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plait.metrics.trust.calibration import bin_places, calibration_error, checked


def reliability(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10, by: str = "width", level: float = 0.95
) -> list[dict[str, Any]]:
    """One entry for each bin that holds rows.

    Args:
        confidence: Probability of each answer, in [0, 1] [N].
        correct: Whether it was right [N].
        bins: Number of bins.
        by: "width" or "mass", as for :func:`plait.metrics.trust.calibration.calibration_error`.
        level: Of the intervals.

    Returns:
        Of each: ``rows``, mean ``confidence``, ``right`` (share of right answers) and its Wilson interval ``low``,
        ``high``; rows of one group count as independent here.
    """
    confidence_N, correct_N = checked(confidence, correct)
    place_N = bin_places(confidence_N, bins, by)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    found = []
    for k in np.unique(place_N):
        rows = place_N == k
        n, share = int(rows.sum()), float(correct_N[rows].mean())
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        found.append({
            "rows": n, "confidence": float(confidence_N[rows].mean()), "right": share,
            "low": max(0.0, float(middle - half)), "high": min(1.0, float(middle + half)),
        })  # fmt: skip
    return found


def expected_calibration_error_of_perfect(
    confidence: ArrayLike, *, bins: int = 15, by: str = "width", draws: int = 200, seed: int = 0
) -> dict[str, float]:
    """The calibration error of a model with these confidences whose every probability is true, by simulation.

    Answers are drawn right with just the probability that the model gives. An observed error inside the range is no
    sign of miscalibration.

    Returns:
        ``mean``, and ``high``, which 95 of 100 such models stay below.

    Example:
        >>> found = expected_calibration_error_of_perfect([0.7] * 100)
        >>> 0.0 < found["mean"] < found["high"] < 0.2
        True
    """
    confidence_N, _ = checked(confidence, np.zeros(np.size(confidence)))
    rng = np.random.default_rng([seed, len(confidence_N), bins])  # no stream that may have made the confidences
    errors = [
        calibration_error(confidence_N, rng.random(len(confidence_N)) < confidence_N, bins=bins, by=by)
        for _ in range(draws)
    ]
    return {"mean": float(np.mean(errors)), "high": float(np.quantile(errors, 0.95))}
