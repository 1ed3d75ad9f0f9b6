"""How answers of a family of tasks are scored when members are chosen, and how linear models and trees learn them.

Members are averaged in the scale of their outputs (probabilities, numbers in their unit); the task's ``inverse`` turns
an average back into the logits that the rest of the house takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from plait.registry import Registry

SMALLEST = 1e-7  # of a probability, in a logarithm


@dataclass(frozen=True)
class AnswerScale:
    """One family.

    Attributes:
        loss: Outputs [N, C] and encoded targets, numbers in their unit, to the loss of each row [N]: log loss, binary
            log loss averaged over labels, squared error.
        link: Name of the linear model's link: "softmax", "sigmoid" or "identity".
        constant: Encoded targets, weights of their rows and number of outputs to the one answer [C] with the smallest
            loss on them: shares of classes or labels, the mean.
        temper: Outputs [N, C] and temperatures [N, 1] to outputs whose logits are divided by them: below 1 they are
            surer. Numbers have none and stay as they are.
    """

    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]
    link: str
    constant: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    temper: Callable[[np.ndarray, np.ndarray], np.ndarray]


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


def _class_shares(target: np.ndarray, weight_N: np.ndarray, num_outputs: int) -> np.ndarray:
    counts = np.bincount(target.astype(np.int64), weights=weight_N, minlength=num_outputs)
    found: np.ndarray = counts / counts.sum()
    return found


def _means(target: np.ndarray, weight_N: np.ndarray, num_outputs: int) -> np.ndarray:
    return np.asarray(np.average(target.reshape(len(target), num_outputs), axis=0, weights=weight_N))


def _temper_classes(outputs: np.ndarray, temperature_N1: np.ndarray) -> np.ndarray:
    return torch.from_numpy(_log(outputs) / temperature_N1).softmax(1).numpy()


def _temper_labels(outputs: np.ndarray, temperature_N1: np.ndarray) -> np.ndarray:
    sure = torch.from_numpy(np.clip(outputs, SMALLEST, 1.0 - SMALLEST)).logit()
    return (sure / torch.from_numpy(temperature_N1)).sigmoid().numpy()


SCALES: Registry[AnswerScale] = Registry("family whose answers can be averaged")
SCALES.add("classes", AnswerScale(_class_loss, "softmax", _class_shares, _temper_classes))
SCALES.add("labels", AnswerScale(_label_loss, "sigmoid", _means, _temper_labels))
SCALES.add("number", AnswerScale(_number_loss, "identity", _means, lambda outputs, temperature_N1: outputs))
