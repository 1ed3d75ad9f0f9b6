"""From probabilities to decisions: the likeliest class and labels from .5 on, or thresholds that were tuned.

Probabilities are never changed: a threshold moves the decision and nothing else. Two classes have one threshold, of the
second class; a label set has one a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EVEN = 0.5


def class_decisions(proba_NC: np.ndarray, thresholds: Sequence[float] = ()) -> np.ndarray:
    """Class numbers [N].

    Args:
        proba_NC: Probabilities.
        thresholds: Of two classes, the probability above which the second is answered; none: the likeliest class, of
            equally likely ones the first.

    Raises:
        ValueError: A threshold for other than two classes.

    Example:
        >>> class_decisions(np.array([[0.7, 0.3], [0.5, 0.5]]), (0.4,)).tolist()
        [0, 1]
    """
    if not thresholds:
        found: np.ndarray = proba_NC.argmax(axis=1)
        return found
    if len(thresholds) != 1 or proba_NC.shape[1] != 2:
        raise ValueError(f"got {len(thresholds)} thresholds for {proba_NC.shape[1]} classes; two classes have one")
    return (proba_NC[:, 1] > thresholds[0]).astype(np.int64)


def label_decisions(proba_NC: np.ndarray, thresholds: Sequence[float] = ()) -> np.ndarray:
    """Which labels are answered, bool [N, C].

    Args:
        proba_NC: Probabilities of each label by itself.
        thresholds: From which probability on each label is answered; none: from .5 on.

    Raises:
        ValueError: Not one threshold a label.

    Example:
        >>> label_decisions(np.array([[0.4, 0.4]]), (0.3, 0.5)).tolist()
        [[True, False]]
    """
    if thresholds and len(thresholds) != proba_NC.shape[1]:
        raise ValueError(f"got {len(thresholds)} thresholds for {proba_NC.shape[1]} labels; give one a label")
    found: np.ndarray = proba_NC >= (np.asarray(thresholds) if thresholds else EVEN)
    return found
