"""From probabilities to decisions: the likeliest class and labels from .5 on, or thresholds that were tuned.

Probabilities are never changed: a threshold moves the decision and nothing else. Two classes have one threshold, of the
second class; a label set has one a label; more than two classes have one a class, by which its probability is divided
before the largest is taken (equal ones change nothing).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EVEN = 0.5


def class_decisions(proba_NC: np.ndarray, thresholds: Sequence[float] = ()) -> np.ndarray:
    """Class numbers [N].

    Args:
        proba_NC: Probabilities.
        thresholds: Of two classes, the probability above which the second is answered; of more, a positive number a
            class: answered is the one whose probability is the most times its threshold; none: the likeliest class.
            Of equal ones the first is answered.

    Raises:
        ValueError: Another number of thresholds, or one of more than two classes that is not above 0.

    Example:
        >>> class_decisions(np.array([[0.7, 0.3], [0.5, 0.5]]), (0.4,)).tolist()
        [0, 1]
        >>> class_decisions(np.array([[0.5, 0.3, 0.2]]), (0.6, 0.2, 0.2)).tolist()
        [1]
    """
    count = proba_NC.shape[1]
    if thresholds and len(thresholds) != (1 if count == 2 else count):
        raise ValueError(
            f"got {len(thresholds)} thresholds for {count} classes; two classes have one, more have one each"
        )
    if count == 2 and thresholds:
        return (proba_NC[:, 1] > thresholds[0]).astype(np.int64)
    if thresholds and min(thresholds) <= 0:
        raise ValueError(f"a threshold of a class is {min(thresholds)}; expected numbers above 0")
    found: np.ndarray = (proba_NC / np.asarray(thresholds) if thresholds else proba_NC).argmax(axis=1)
    return found


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
