"""How sure a pseudo-label must be: learned on labelled rows that the teacher had not seen.

Answers are tempered first, so that a confidence is about the share of right answers; the threshold is the lowest
confidence above which at least the wanted share of them was right.
"""

from __future__ import annotations

import numpy as np

from plait.ensemble.scale import AnswerScale

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(4.0), 25))
SHARPENED_FROM = 100  # rows; fewer may all be right by chance, and no answer is made surer by them
FEWEST = 5  # rows above a threshold, below which their share of right answers says nothing


def fitted_temperature(outputs_NC: np.ndarray, target: np.ndarray, scale: AnswerScale) -> float:
    """The temperature with the smallest loss on rows, of 25 from 1/4 to 4 (1 to 4 on few rows); 1 without a row."""
    if len(outputs_NC) == 0:
        return 1.0
    tried = TEMPERATURES if len(target) >= SHARPENED_FROM else TEMPERATURES[TEMPERATURES > 1.0 - 1e-9]
    losses = [float(scale.loss(scale.temper(outputs_NC, np.full((len(target), 1), t)), target).mean()) for t in tried]
    return float(tried[int(np.argmin(losses))])


def confidence(outputs_NC: np.ndarray, one_class: bool) -> np.ndarray:
    """How sure answers are [N]: the largest probability; of label sets the mean over labels of the likelier of both."""
    found: np.ndarray = outputs_NC.max(1) if one_class else np.maximum(outputs_NC, 1.0 - outputs_NC).mean(1)
    return found


def rightness(outputs_NC: np.ndarray, target: np.ndarray, one_class: bool) -> np.ndarray:
    """Whether answers are right [N]; of label sets the share of labels that are."""
    if one_class:
        return np.asarray(outputs_NC.argmax(1) == target, dtype=np.float64)
    return np.asarray(((outputs_NC > 0.5) == (target > 0.5)).mean(1), dtype=np.float64)


def calibrated_threshold(confidence_N: np.ndarray, right_N: np.ndarray, wanted: float) -> float | None:
    """The lowest confidence from which on at least the ``wanted`` share of answers was right; None where none is.

    Example:
        >>> calibrated_threshold(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([1, 1, 1, 1, 1, 0]), 0.9)
        0.5
    """
    order = np.argsort(-confidence_N, kind="stable")
    sure, right = confidence_N[order], right_N[order]
    share = np.cumsum(right) / np.arange(1, len(right) + 1)
    is_last_of_ties = np.append(sure[1:] < sure[:-1], True)
    fits = is_last_of_ties & (share >= wanted) & (np.arange(1, len(right) + 1) >= min(FEWEST, len(right)))
    return float(sure[np.flatnonzero(fits)[-1]]) if fits.any() else None
