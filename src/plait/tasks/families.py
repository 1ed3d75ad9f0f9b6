"""What the outputs of a task are, where several tasks share it: one record a family.

What else hangs on the family stands in a registry of the room that asks, under the same names: late fusions
(``fusion.OutputSpec``), what chooses the epoch (``training.EPOCH_SCORES``), evaluation (``evaluation.EVALUATORS``) and
explanation (``explain.measure.MEASURES``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plait.registry import Registry


@dataclass(frozen=True)
class OutputFamily:
    """What all tasks with this kind of output have in common.

    Attributes:
        does: What such a model does, for messages.
        one_class: Whether exactly one of several classes is right, so that the outputs of a row add up to one.
        writes: Whether the outputs are text, written token by token.
        embeds: Whether the outputs are vectors of one space, to search by.
        prior: Targets of the training rows, as ``Task.natural`` gives them, and number of outputs to the output that
            knows no input; None: there is none.
    """

    does: str
    one_class: bool = False
    writes: bool = False
    embeds: bool = False
    prior: Callable[[np.ndarray, int], np.ndarray] | None = None


def class_shares(target: np.ndarray, num_outputs: int) -> np.ndarray:
    """Share of each class among targets of a known class, [C]; equal ones where there is none."""
    counts = np.bincount(target[target >= 0].astype(np.int64), minlength=num_outputs).astype(np.float64)
    return counts / counts.sum() if counts.sum() else np.full(num_outputs, 1.0 / num_outputs)


def target_means(target: np.ndarray, num_outputs: int) -> np.ndarray:
    """Mean of each column of the targets: the share of each label, or the mean of a number, [C]."""
    means: np.ndarray = target.reshape(len(target), num_outputs).astype(np.float64).mean(axis=0)
    return means


FAMILIES: Registry[OutputFamily] = Registry("output kind")
FAMILIES.add("classes", OutputFamily("chooses one class", one_class=True, prior=class_shares))
FAMILIES.add("labels", OutputFamily("chooses labels", prior=target_means))
FAMILIES.add("number", OutputFamily("predicts a number", prior=target_means))
FAMILIES.add("text", OutputFamily("writes text", writes=True))
FAMILIES.add("embeddings", OutputFamily("gives vectors and cosines", embeds=True))
