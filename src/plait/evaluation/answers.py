"""What is shown of the answers of each family of outputs: classes, labels and numbers.

In: evaluation inputs and activated outputs [N, C]. Out: the confusion matrix, the hits by class, the points of a
scatter plot, and which rows were right and which wrong, so far as a family has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.evaluation.base import EvaluationInputs
from plait.metrics.breakdown import confusion
from plait.registry import Registry
from plait.tasks.decisions import class_decisions, label_decisions

MAX_POINTS = 500


@dataclass
class Hits:
    """Which rows can be counted [N], and which class is true of a row and which is answered [N, C]."""

    known: np.ndarray
    truth: np.ndarray
    guess: np.ndarray


@dataclass
class Ranked:
    """Rows as examples are picked from them.

    Attributes:
        wrong: Positions of wrong rows, what the model was surest of (or furthest off in) first.
        right: Positions of right rows, what it was surest of first.
        correct: Whether each row is right [N].
        sureness: Probability of each answer [N]; None for numbers.
    """

    wrong: np.ndarray
    right: np.ndarray
    correct: np.ndarray
    sureness: np.ndarray | None = None


def _nothing(given: EvaluationInputs, outputs: np.ndarray) -> None:
    return None


@dataclass(frozen=True)
class AnswerViews:
    """What can be shown of answers of one family; each is a function of inputs and outputs.

    Attributes:
        ranked: Which rows are right and wrong.
        hits: Which classes are true and answered.
        confusion: Class names and a matrix of counts, truth by prediction.
        scatter: True and predicted numbers of some rows.
    """

    ranked: Callable[[EvaluationInputs, np.ndarray], Ranked]
    hits: Callable[[EvaluationInputs, np.ndarray], Hits | None] = _nothing
    confusion: Callable[[EvaluationInputs, np.ndarray], dict[str, Any] | None] = _nothing
    scatter: Callable[[EvaluationInputs, np.ndarray], dict[str, list[float]] | None] = _nothing


ANSWER_VIEWS: Registry[AnswerViews] = Registry("output kind with views of its answers")


def _by_sureness(correct: np.ndarray, sureness: np.ndarray) -> Ranked:
    order = np.argsort(-sureness, kind="stable")
    return Ranked(order[~correct[order]], order[correct[order]], correct, sureness)


def _classes(given: EvaluationInputs, outputs: np.ndarray) -> np.ndarray:
    return class_decisions(outputs, given.labels.thresholds)


def _labels(given: EvaluationInputs, outputs: np.ndarray) -> np.ndarray:
    return label_decisions(outputs, given.labels.thresholds)


def _class_confusion(given: EvaluationInputs, outputs: np.ndarray) -> dict[str, Any]:
    known = given.target >= 0
    matrix = confusion(given.target[known], _classes(given, outputs)[known], len(given.labels.classes))
    return {"labels": list(given.labels.classes), "matrix": matrix.tolist()}


def _class_hits(given: EvaluationInputs, outputs: np.ndarray) -> Hits:
    classes = np.arange(outputs.shape[1])
    return Hits(given.target >= 0, given.target[:, None] == classes, _classes(given, outputs)[:, None] == classes)


def _ranked_classes(given: EvaluationInputs, outputs: np.ndarray) -> Ranked:
    guess = _classes(given, outputs)
    return _by_sureness(guess == given.target, outputs[np.arange(len(outputs)), guess])


def _label_hits(given: EvaluationInputs, outputs: np.ndarray) -> Hits:
    return Hits(np.ones(len(outputs), dtype=bool), given.target >= 0.5, _labels(given, outputs))


def _ranked_labels(given: EvaluationInputs, outputs: np.ndarray) -> Ranked:
    return _by_sureness((_labels(given, outputs) == (given.target >= 0.5)).all(1), outputs.max(1))


def _scatter(given: EvaluationInputs, outputs: np.ndarray) -> dict[str, list[float]]:
    chosen = np.random.default_rng(0).permutation(len(outputs))[:MAX_POINTS]
    return {"truth": given.target[chosen].tolist(), "prediction": outputs[chosen, 0].tolist()}


def _ranked_numbers(given: EvaluationInputs, outputs: np.ndarray) -> Ranked:
    """Half of the rows count as right: those with the smaller errors."""
    error = np.abs(outputs[:, 0] - given.target)
    wrong = np.argsort(-error, kind="stable")
    return Ranked(wrong, wrong[::-1], error <= np.median(error) if len(error) else error < 0)


ANSWER_VIEWS.add("classes", AnswerViews(_ranked_classes, _class_hits, _class_confusion))
ANSWER_VIEWS.add("labels", AnswerViews(_ranked_labels, _label_hits))
ANSWER_VIEWS.add("number", AnswerViews(_ranked_numbers, scatter=_scatter))
