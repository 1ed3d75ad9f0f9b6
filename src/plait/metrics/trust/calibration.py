"""Calibration errors: how far the probability of an answer is from the share of such answers that are right.

Bins are half open to the right, [a, b), and the last is closed, so that a confidence of exactly 1 is in the last bin
and one of exactly 0 in the first. Bins without rows count nothing.

Reference: Naeini, Cooper and Hauskrecht 2015 (expected calibration error); Nixon et al. 2019 (equal mass, classwise);
Brier 1950.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINNINGS = ("width", "mass")
SMALLEST = 1e-12  # of a probability, in a logarithm


def calibration_error(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15, by: str = "width", norm: int = 1
) -> float:
    """Expected calibration error: the mean distance of confidence and share of right answers, over bins by their rows.

    Args:
        confidence: Probability of each answer, in [0, 1] [N].
        correct: Whether it was right, or the share of annotators who say so, in [0, 1] [N].
        bins: Number of bins.
        by: "width" (bins equally wide) or "mass" (bins of equally many rows; equal confidences are never parted).
        norm: 1 (mean distance) or 2 (root of the mean squared distance).

    Returns:
        A number in [0, 1]; 0 is perfect, but a finite sample of a perfectly calibrated model is never 0
        (:func:`plait.metrics.trust.reliability.expected_calibration_error_of_perfect`).

    Raises:
        ValueError: No rows, lengths that disagree, or values outside [0, 1] or NaN.

    Example:
        >>> round(calibration_error([0.95, 1.0], [1, 0]), 4)
        0.475
    """
    confidence_N, correct_N = checked(confidence, correct)
    place_N = bin_places(confidence_N, bins, by)
    count_K = np.bincount(place_N)
    gap_K = np.bincount(place_N, correct_N - confidence_N) / np.maximum(count_K, 1)
    share_K = count_K / len(confidence_N)
    if norm == 1:
        return float((share_K * np.abs(gap_K)).sum())
    if norm == 2:
        return float(np.sqrt((share_K * gap_K**2).sum()))
    raise ValueError(f"norm must be 1 or 2, got {norm!r}")


def classwise_calibration_error(proba: ArrayLike, target: ArrayLike, *, bins: int = 15, by: str = "width") -> float:
    """Mean over classes of the calibration error of each class's probability, whether or not it is the answer.

    Args:
        proba: Probabilities [N, C].
        target: Class numbers [N]; -1 is a class the model does not have.
        bins: As for :func:`calibration_error`.
        by: As for :func:`calibration_error`.
    """
    proba_NC, target_N = np.asarray(proba, dtype=np.float64), np.asarray(target)
    errors = [
        calibration_error(proba_NC[:, c], target_N == c, bins=bins, by=by) for c in range(proba_NC.shape[1])
    ]  # fmt: skip
    return float(np.mean(errors))


def brier_score(proba: ArrayLike, target: ArrayLike) -> float:
    """Mean over rows of the squared distance of probabilities and truth, summed over classes, in [0, 2].

    Args:
        proba: Probabilities [N, C]; of label sets each label by itself.
        target: Class numbers [N] (-1: a class the model does not have), or truth of each label [N, C].
    """
    proba_NC = np.asarray(proba, dtype=np.float64)
    truth_NC = _one_hot(np.asarray(target), proba_NC)
    return float(((proba_NC - truth_NC) ** 2).sum(1).mean())


def log_score(proba: ArrayLike, target: ArrayLike) -> float:
    """Mean negative log-likelihood of the truth in nats; probabilities count as 1e-12 at least.

    Args:
        proba: Probabilities [N, C]; of label sets each label by itself, whose losses are averaged.
        target: Class numbers [N] (-1: a class the model does not have), or truth of each label [N, C].
    """
    proba_NC, truth = np.asarray(proba, dtype=np.float64), np.asarray(target)
    if truth.ndim == 2:
        right_NC = np.where(truth > 0.5, proba_NC, 1.0 - proba_NC)
        return float(-np.log(np.maximum(right_NC, SMALLEST)).mean())
    right_N = np.where(truth < 0, 0.0, proba_NC[np.arange(len(truth)), np.maximum(truth, 0)])
    return float(-np.log(np.maximum(right_N, SMALLEST)).mean())


def bin_places(confidence_N: Floats, bins: int, by: str = "width") -> Ints:
    """The number of the bin of each row [N].

    Raises:
        ValueError: Fewer than one bin, or another way of binning.
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, got {bins}")
    if by == "width":
        return np.minimum((confidence_N * bins).astype(np.int64), bins - 1)
    if by != "mass":
        raise ValueError(f"by must be one of {', '.join(BINNINGS)}, got {by!r}")
    order = np.argsort(confidence_N, kind="stable")
    even_N = np.empty(len(order), dtype=np.int64)
    even_N[order] = np.arange(len(order)) * bins // len(order)
    values, tie_N = np.unique(confidence_N, return_inverse=True)
    first = np.full(len(values), bins, dtype=np.int64)
    np.minimum.at(first, tie_N, even_N)  # equal confidences stand in the bin of the first of them
    return first[tie_N]


def checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 [N].

    Raises:
        ValueError: No rows, lengths that disagree, or values outside [0, 1] or NaN.
    """
    confidence_N = np.asarray(confidence, dtype=np.float64).reshape(-1)
    correct_N = np.asarray(correct, dtype=np.float64).reshape(-1)
    if len(confidence_N) == 0 or len(confidence_N) != len(correct_N):
        raise ValueError(
            f"got {len(confidence_N)} confidences and {len(correct_N)} answers; expected one each, of 1 row or more"
        )
    for name, values in (("confidence", confidence_N), ("correct", correct_N)):
        if not ((values >= 0) & (values <= 1)).all():  # NaN fails both
            raise ValueError(f"{name} must lie in [0, 1], got values from {values.min()} to {values.max()}")
    return confidence_N, correct_N


def _one_hot(truth: NDArray[np.generic], proba_NC: Floats) -> Floats:
    if truth.ndim == 2:
        return truth.astype(np.float64)
    made = np.zeros_like(proba_NC)
    known = truth.astype(np.int64) >= 0
    made[np.flatnonzero(known), truth.astype(np.int64)[known]] = 1.0
    return made
