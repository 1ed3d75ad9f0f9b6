"""What is measured when modalities are taken away: per kind of output a metric, a loss and the scale of the scores.

Scores are what EMAP averages: logits of classes or labels, or the predicted numbers themselves. Outputs are what
people read: probabilities, or numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.explain.target import read_classes, read_labels, read_numbers
from plait.metrics.chance import chance_level
from plait.metrics.label import classification_metrics, multilabel_metrics, regression_metrics
from plait.registry import Registry, unknown_name
from plait.settings.added_metrics import is_lower_better

EPS = float(np.finfo(np.float64).eps)
POINTS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "f1_micro", "mAP", "exact_match",
          "auroc", "auroc_macro", "average_precision")  # fmt: skip


def likeliest(outputs: np.ndarray) -> np.ndarray:
    """Number of the largest output of each row [N], of equal ones the first."""
    found: np.ndarray = outputs.argmax(axis=1)
    return found


@dataclass(frozen=True)
class Measure:
    """How answers of one kind are evaluated.

    Attributes:
        metric: Name of the primary metric; higher is better.
        loss: Name of the loss.
        activate: Scores ``[N, C]`` to outputs ``[N, C]``.
        scores: Outputs to scores, where only outputs are known.
        metrics: Target and outputs to all metrics by name.
        metric_of: Target and outputs to the metric, or None where it is undefined.
        metric_per_row: Target and outputs to one number per row whose mean is the metric; None if there is none.
        loss_per_row: Target and scores to the loss of each row ``[N]``.
        read_target: A target as the user gives it, and names of the classes or None, to encoded targets.
        scale: What scores made of outputs are, in words.
        exclusive: Whether the outputs of a row are probabilities that add up to one.
        decide: Outputs to the number of the output that is answered [N]; of labels the most probable one.
        is_number: Whether the output of a row is one number, so that outputs and scores are the same.
        explained: What the one number of a row is, in words.
        unit: Unit of the metric, where it has another name than that.
        meaning: What the metric is, where its name does not say it.
        metrics_of_guess: ``metrics`` without the model's thresholds, for answers that are the same for every row: a
            threshold that was tuned for a rare class would turn them to that class; None: ``metrics``.
    """

    metric: str
    loss: str
    activate: Callable[[np.ndarray], np.ndarray]
    scores: Callable[[np.ndarray], np.ndarray]
    metrics: Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]
    metric_of: Callable[[np.ndarray, np.ndarray], float | None]
    metric_per_row: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    loss_per_row: Callable[[np.ndarray, np.ndarray], np.ndarray]
    read_target: Callable[[np.ndarray, Sequence[str] | None], np.ndarray]
    scale: str
    exclusive: bool = False
    is_number: bool = False
    decide: Callable[[np.ndarray], np.ndarray] = likeliest
    explained: str = "predicted number"
    unit: str | None = None
    meaning: str | None = None
    metrics_of_guess: Callable[[np.ndarray, np.ndarray], Mapping[str, Any]] | None = None

    @property
    def in_points(self) -> bool:
        """Whether differences are reported in points of a hundred."""
        return self.metric in POINTS

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of rows."""
        return self.metric in ("accuracy", "exact_match")

    def chance(self, target: np.ndarray) -> float | None:
        """What guessing gets; see :func:`plait.metrics.chance.chance_level`."""
        return chance_level(self.metric, target)

    def metric_of_guess(self, target: np.ndarray, outputs: np.ndarray) -> float | None:
        """The metric of answers that are the same for every row, decided without the model's thresholds."""
        if self.metrics_of_guess is None:
            return self.metric_of(target, outputs)
        value = self.metrics_of_guess(target, outputs)[self.metric]
        return None if value is None else float(value)

    def centred(self, scores: np.ndarray) -> np.ndarray:
        """Scores without what no output depends on: the mean over classes of each row."""
        return scores - scores.mean(axis=1, keepdims=True) if self.exclusive else scores


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


def _flat_regression(target: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    return regression_metrics(target, outputs[:, 0])


def _mean_likelihood(target: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    return {"log-likelihood": float(outputs[:, 0].mean())}


def metric_named(
    measure: Callable[..., Mapping[str, Any]], name: str
) -> Callable[[np.ndarray, np.ndarray], float | None]:
    """One of several metrics as a function of target and outputs."""

    def metric_of(target: np.ndarray, outputs: np.ndarray) -> float | None:
        value = measure(target, outputs)[name]
        return None if value is None else float(value)

    return metric_of


MEASURES: Registry[Measure] = Registry("output kind that can be explained")
MEASURES.add(
    "classes",
    Measure(
        "accuracy", "log_loss", softmax, _log, classification_metrics, metric_named(classification_metrics, "accuracy"),
        _hits, _log_loss, read_classes, "log probabilities (whose projection gives the same answers as that of logits)",
        exclusive=True,
    ),
)  # fmt: skip
MEASURES.add(
    "labels",
    Measure(
        "mAP", "binary_cross_entropy", _sigmoid, _log_odds, multilabel_metrics,
        metric_named(multilabel_metrics, "mAP"), None, _label_loss, read_labels, "logits",
    ),
)  # fmt: skip
MEASURES.add(
    "number",
    Measure(
        "r2", "mean_squared_error", lambda s: s, lambda s: s, _flat_regression,
        metric_named(_flat_regression, "r2"), None,
        lambda target, scores: (scores[:, 0] - target) ** 2, read_numbers, "predicted numbers", is_number=True,
    ),
)  # fmt: skip
MEASURES.add(
    "text",
    Measure(
        "log-likelihood", "negative log-likelihood", lambda s: s, lambda s: s, _mean_likelihood,
        metric_named(_mean_likelihood, "log-likelihood"), lambda target, outputs: outputs[:, 0],
        lambda target, scores: -scores[:, 0], read_numbers, "log-likelihoods", is_number=True,
        decide=lambda outputs: np.zeros(len(outputs), dtype=np.int64),
        explained="log-likelihood a token of the reference", unit="nats a token",
        meaning="mean log-likelihood a token of the reference answer, in nats, each token given the true ones before "
        "it; of several references their mean",
    ),
)  # fmt: skip
Metric = str | Callable[[np.ndarray, np.ndarray], float] | None


# What the answers of a model that is not ours are, in the words of tasks; tasks themselves need torch, this does not.
KIND_OF_ANSWERS = {
    "classification": "classes", "multilabel": "labels", "regression": "number", "matching": "classes",
    "vqa": "classes",
}  # fmt: skip


def measure_named(task: str) -> Measure:
    """The measure of answers of a task.

    Raises:
        ValueError: No such task.
    """
    if task not in KIND_OF_ANSWERS:
        raise ValueError(unknown_name("task", task, list(KIND_OF_ANSWERS)))
    return MEASURES.get(KIND_OF_ANSWERS[task])


def with_metric(own: Measure, metric: Metric = None) -> Measure:
    """A measure with another primary metric, if one is given.

    Args:
        own: The measure.
        metric: None for its own; the name of another one of its metrics; or a function of target and outputs to a
            number, higher is better.

    Raises:
        ValueError: No such metric, or one where lower is better.
    """
    if metric is None or metric == own.metric:
        return own
    if callable(metric):
        name = str(getattr(metric, "__name__", "metric"))
        return replace(
            own, metric=name, metric_of=lambda t, o: float(metric(t, o)), metric_per_row=None, metrics_of_guess=None
        )
    names = [n for n, v in own.metrics(*_sample(own)).items() if n != "notes" and not is_lower_better(n)]
    if is_lower_better(metric):
        raise ValueError(
            f"of metric={metric!r} lower is better; the loss is measured anyway, choose {', '.join(names)}"
        )
    if metric not in names:
        raise ValueError(unknown_name("metric", metric, names, where="metric="))
    return replace(own, metric=metric, metric_of=metric_named(own.metrics, metric), metric_per_row=None)


def _sample(measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Two targets and outputs of them, from which the names of the metrics are read."""
    if measure.is_number:
        return np.array([0, 1]), np.array([[0.0], [1.0]])
    limits = getattr(measure.metrics, "thresholds", ())
    count = max(2, len(limits)) if measure.exclusive else len(limits) or 2  # two classes have one threshold
    return (np.arange(count) if measure.exclusive else np.eye(count)), np.eye(count)
