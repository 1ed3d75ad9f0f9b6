"""How answers of a family of tasks are averaged, scored and turned back into logits.

Members are averaged in the scale of their outputs (probabilities, numbers in their unit). The rest of the house takes
logits, so an average is turned back into the logits that the task's ``activate`` makes it from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plait.registry import Registry
from plait.tasks import LabelState
from plait.tasks.regression import scale_of

SMALLEST = 1e-7  # of a probability, in a logarithm


@dataclass(frozen=True)
class AnswerScale:
    """One family.

    Attributes:
        logits: Outputs [N, C] and label state to logits.
        loss: Outputs [N, C] and encoded targets, numbers in their unit, to the loss of each row [N]: log loss, binary
            log loss averaged over labels, squared error.
        link: Name of the linear model's link: "softmax", "sigmoid" or "identity".
    """

    logits: Callable[[np.ndarray, LabelState], np.ndarray]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]
    link: str


def _log(outputs: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(np.clip(outputs, SMALLEST, 1.0))
    return found


def _class_loss(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    return -_log(outputs[np.arange(len(outputs)), target.astype(np.int64)])


def _label_loss(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    right = np.where(target >= 0.5, outputs, 1.0 - outputs)
    loss: np.ndarray = -_log(right).mean(1)
    return loss


def _number_loss(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    loss: np.ndarray = (outputs[:, 0] - target.reshape(-1)) ** 2
    return loss


SCALES: Registry[AnswerScale] = Registry("family whose answers can be averaged")
SCALES.add("classes", AnswerScale(lambda p, labels: _log(p), _class_loss, "softmax"))
SCALES.add("labels", AnswerScale(lambda p, labels: _log(p) - _log(1.0 - p), _label_loss, "sigmoid"))
SCALES.add("number", AnswerScale(lambda v, labels: scale_of(labels).encode(v), _number_loss, "identity"))
