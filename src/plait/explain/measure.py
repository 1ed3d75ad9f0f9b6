"""What is measured when modalities are taken away: per kind of task a metric, a loss and the scale of the scores.

Scores are what EMAP averages: logits of classes or labels, or the predicted numbers themselves. Outputs are what
people read: probabilities, or numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.metrics.chance import chance_level
from plait.metrics.label import classification_metrics, multilabel_metrics, regression_metrics
from plait.registry import unknown_name

EPS = float(np.finfo(np.float64).eps)
POINTS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "f1_micro", "mAP", "exact_match",
          "auroc", "auroc_macro", "average_precision")  # fmt: skip
LOWER_IS_BETTER = ("log_loss", "hamming", "mae", "rmse")


@dataclass(frozen=True)
class Measure:
    """How the answers of one kind of task are judged.

    Attributes:
        task: "classification", "multilabel" or "regression" (matching is classification).
        metric: Name of the primary metric; higher is better.
        loss: Name of the loss.
        activate: Scores ``[N, C]`` to outputs ``[N, C]``.
        scores: Outputs to scores, where only outputs are known.
        metric_of: Target and outputs to the metric, or None where it is undefined.
        metric_per_row: Target and outputs to one number per row whose mean is the metric; None if there is none.
        loss_per_row: Target and scores to the loss of each row ``[N]``.
    """

    task: str
    metric: str
    loss: str
    activate: Callable[[np.ndarray], np.ndarray]
    scores: Callable[[np.ndarray], np.ndarray]
    metric_of: Callable[[np.ndarray, np.ndarray], float | None]
    metric_per_row: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    loss_per_row: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def in_points(self) -> bool:
        """Whether differences are told in points of a hundred."""
        return self.metric in POINTS

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of rows."""
        return self.metric in ("accuracy", "exact_match")

    def chance(self, target: np.ndarray) -> float | None:
        """What guessing gets; see :func:`plait.metrics.chance.chance_level`."""
        return chance_level(self.metric, target)

    def centred(self, scores: np.ndarray) -> np.ndarray:
        """Scores without what no output depends on: the mean over classes of each row."""
        return scores - scores.mean(axis=1, keepdims=True) if self.task == "classification" else scores


def softmax(scores_NC: np.ndarray) -> np.ndarray:
    """Probabilities ``[N, C]`` of class scores."""
    shifted = np.exp(scores_NC - scores_NC.max(axis=1, keepdims=True))
    probability: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return probability


def _sigmoid(scores_NC: np.ndarray) -> np.ndarray:
    return np.where(scores_NC >= 0, 1.0, np.exp(-np.abs(scores_NC))) / (1.0 + np.exp(-np.abs(scores_NC)))


def _log(outputs: np.ndarray) -> np.ndarray:
    return np.log(np.clip(outputs, EPS, None))


def _log_odds(outputs: np.ndarray) -> np.ndarray:
    clipped = np.clip(outputs, EPS, 1.0 - EPS)
    return np.log(clipped) - np.log1p(-clipped)


def _log_loss(target: np.ndarray, scores_NC: np.ndarray) -> np.ndarray:
    shifted = scores_NC - scores_NC.max(axis=1, keepdims=True)
    loss: np.ndarray = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(shifted)), target]
    return loss


def _label_loss(target: np.ndarray, scores_NC: np.ndarray) -> np.ndarray:
    cells = np.logaddexp(0.0, scores_NC) - target * scores_NC
    loss: np.ndarray = cells.mean(axis=1)
    return loss


def _hits(target: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return (outputs.argmax(axis=1) == target).astype(np.float64)


def _named(measure: Callable[..., Mapping[str, Any]], name: str) -> Callable[[np.ndarray, np.ndarray], float | None]:
    def metric_of(target: np.ndarray, outputs: np.ndarray) -> float | None:
        flat = outputs[:, 0] if measure is regression_metrics else outputs
        value = measure(target, flat)[name]
        return None if value is None else float(value)

    return metric_of


METRICS = {
    "classification": classification_metrics,
    "multilabel": multilabel_metrics,
    "regression": regression_metrics,
}
MEASURES = {
    "classification": Measure(
        "classification", "accuracy", "log_loss", softmax, _log, _named(classification_metrics, "accuracy"), _hits,
        _log_loss,
    ),
    "multilabel": Measure(
        "multilabel", "mAP", "binary_cross_entropy", _sigmoid, _log_odds, _named(multilabel_metrics, "mAP"), None,
        _label_loss,
    ),
    "regression": Measure(
        "regression", "r2", "mean_squared_error", lambda s: s, lambda s: s, _named(regression_metrics, "r2"), None,
        lambda target, scores: (scores[:, 0] - target) ** 2,
    ),
}  # fmt: skip
ALIASES = {"matching": "classification", "vqa": "classification"}
Metric = str | Callable[[np.ndarray, np.ndarray], float] | None


def measure_for(task: str, metric: Metric = None) -> Measure:
    """The measure of a task, with another primary metric if one is named.

    Args:
        task: "classification", "matching", "multilabel" or "regression".
        metric: None for the task's own; the name of another one of ``plait.metrics``; or a function of target and
            outputs to a number, higher is better.

    Raises:
        ValueError: No such task or metric, or a metric where lower is better.
    """
    task = ALIASES.get(task, task)
    if task not in MEASURES:
        raise ValueError(unknown_name("task", task, [*MEASURES, *ALIASES]))
    own = MEASURES[task]
    if metric is None or metric == own.metric:
        return own
    if callable(metric):
        name = str(getattr(metric, "__name__", "metric"))
        return replace(own, metric=name, metric_of=lambda t, o: float(metric(t, o)), metric_per_row=None)
    sample = np.eye(2) if task == "multilabel" else np.array([0, 1])
    guess = np.array([0.0, 1.0]) if task == "regression" else np.eye(2)
    names = [n for n, v in METRICS[task](sample, guess).items() if n != "notes" and n not in LOWER_IS_BETTER]
    if metric in LOWER_IS_BETTER:
        raise ValueError(f"of {metric!r} lower is better; the loss is measured anyway, choose {', '.join(names)}")
    if metric not in names:
        raise ValueError(unknown_name("metric", metric, names))
    return replace(own, metric=metric, metric_of=_named(METRICS[task], metric), metric_per_row=None)
