"""Decision thresholds of classes and of label sets, tuned on held-out rows that are no test rows.

A model's probabilities are learned by a proper loss; where it decides is another question, which depends on the metric.
Thresholds are kept only where the gain shows on rows that did not tune them: four times five-fold, and more than one
standard error above nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from plait.tasks import Task
from plait.tasks.decisions import EVEN, class_decisions, label_decisions
from plait.training.decision_scores import CLASS_METRICS, LABEL_METRICS, weighed_scores
from plait.training.threshold_search import FEWEST, best_each, best_f1, best_place, best_power, best_shared

FOLDS, REPEATS, RESAMPLES = 5, 4, 200
FEWEST_ROWS = 20
MOST_CLASSES = 100
Way = Callable[[np.ndarray, np.ndarray], tuple[float, ...]]  # probabilities and truths [N, C] to thresholds


@dataclass(frozen=True)
class TunedThresholds:
    """What was found.

    Attributes:
        values: The thresholds; empty: the likeliest class, or .5, stays.
        metric: What they were tuned for.
        before: The metric on the rows without them.
        after: The metric on the same rows where each was decided by thresholds of the others.
    """

    values: tuple[float, ...]
    metric: str
    before: float
    after: float


def threshold_metric(task: Task, asked: str | None, num_classes: int = 2) -> str | None:
    """What thresholds of this task are tuned for; None: none are.

    That is ``asked`` (``task.threshold_for``), else what selects the epoch, else the primary metric, where these count
    decisions, else macro-F1. More than two classes are divided only for another of these metrics than accuracy, for
    which the likeliest class is the right answer already.

    Raises:
        ValueError: The metric asked for is none of this task's.
    """
    known = {"classes": CLASS_METRICS, "labels": LABEL_METRICS}.get(task.output_kind)
    if known is None or task.metrics_at is None:
        return None
    if asked is not None and asked not in known:
        raise ValueError(
            f"task.threshold_for={asked} is no metric of the decisions of {task.name}; choose {', '.join(known)}"
        )
    wanted = next((m for m in (asked, task.selects, task.primary) if m in known), None)
    if task.output_kind == "classes" and num_classes != 2:
        return None if wanted == "accuracy" else wanted
    return wanted or "f1_macro"


def tune_thresholds(
    proba_NC: np.ndarray, target: np.ndarray, *, is_label_set: bool, metric: str, group_N: np.ndarray | None = None,
    seed: int = 0,
) -> TunedThresholds:  # fmt: skip
    """Tune thresholds on rows that the model has not learned from.

    Args:
        proba_NC: Probabilities, of classes or of labels.
        target: Class numbers [N], or 0 and 1 [N, C].
        is_label_set: Whether the columns are labels of a set.
        metric: One of ``CLASS_METRICS`` or of ``LABEL_METRICS``.
        group_N: Rows of a group are dealt and drawn together; None: each row by itself.
        seed: Seed of folds and resamples.
    """
    group_N = np.arange(len(proba_NC)) if group_N is None else np.unique(group_N, return_inverse=True)[1]
    count = proba_NC.shape[1]
    truth_NC = target >= EVEN if is_label_set else target[:, None] == np.arange(count)
    even = _decided(proba_NC, (), is_label_set)
    before = float(weighed_scores(truth_NC, even, np.ones((1, len(even))), metric)[0])
    stays = TunedThresholds((), metric, before, before)
    num_groups = len(np.unique(group_N))
    common = (truth_NC.sum(0) >= FEWEST).sum()  # classes with rows enough
    hopeless = not truth_NC.any() if is_label_set else common < 2 or count > MOST_CLASSES
    if len(proba_NC) < FEWEST_ROWS or num_groups < FOLDS or hopeless:
        return stays
    best, gain = stays, 0.0
    for tune in _ways(is_label_set, count, metric):
        rng = np.random.default_rng(seed)
        outside = [
            _crossed(proba_NC, truth_NC, tune, is_label_set, folds)
            for folds in (_folds(group_N, num_groups, rng) for _ in range(REPEATS))
        ]
        mean, error = _gain(truth_NC, outside, even, metric, group_N, rng)
        if mean > max(error, gain + 1e-9):
            found = tune(proba_NC, truth_NC)
            best, gain = TunedThresholds(found, metric, before, before + mean), mean
    return best


def _ways(is_label_set: bool, count: int, metric: str) -> Iterator[Way]:
    """How thresholds may be found, the simplest first."""
    if not is_label_set and count == 2:
        yield lambda proba, truth: (best_place(proba[:, 1], truth[:, 1], metric),)
        return
    if not is_label_set:
        yield partial(best_power, metric=metric)
        yield partial(best_each, metric=metric)
        return

    def shared(proba: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
        return (best_shared(proba, truth, metric),) * proba.shape[1]

    yield shared
    if metric == "f1_macro":

        def each(proba: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
            common = shared(proba, truth)
            return tuple(
                best_f1(proba[:, c], truth[:, c]) if truth[:, c].sum() >= FEWEST else common[c]
                for c in range(proba.shape[1])
            )

        yield each


def _decided(proba_NC: np.ndarray, thresholds: tuple[float, ...], is_label_set: bool) -> np.ndarray:
    """Decisions [N, C]."""
    if is_label_set:
        return label_decisions(proba_NC, thresholds)
    return class_decisions(proba_NC, thresholds)[:, None] == np.arange(proba_NC.shape[1])


def _folds(group_N: np.ndarray, num_groups: int, rng: np.random.Generator) -> np.ndarray:
    """Number of the fold of each row [N]; groups stay whole."""
    found: np.ndarray = (rng.permutation(num_groups) % FOLDS)[group_N]
    return found


def _crossed(
    proba_NC: np.ndarray, truth_NC: np.ndarray, tune: Way, is_label_set: bool, fold_N: np.ndarray
) -> np.ndarray:
    """Decisions of each row by thresholds that the rows of other folds tuned [N, C]."""
    guess_NC = np.zeros(truth_NC.shape, dtype=bool)
    for fold in range(FOLDS):
        held = fold_N == fold
        guess_NC[held] = _decided(proba_NC[held], tune(proba_NC[~held], truth_NC[~held]), is_label_set)
    return guess_NC


def _gain(
    truth_NC: np.ndarray, outside: list[np.ndarray], even_NC: np.ndarray, metric: str, group_N: np.ndarray,
    rng: np.random.Generator,
) -> tuple[float, float]:  # fmt: skip
    """What held-out decisions gain over those without thresholds, and its standard error, from resamples of groups."""
    num_groups = int(group_N.max()) + 1
    drawn_RG = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=RESAMPLES)
    weight_RN = np.concatenate([np.ones((1, num_groups)), drawn_RG])[:, group_N]

    def scores(guess_NC: np.ndarray) -> np.ndarray:
        return weighed_scores(truth_NC, guess_NC, weight_RN, metric)

    gain_R = np.mean([scores(guess) for guess in outside], axis=0) - scores(even_NC)
    return float(gain_R[0]), float(gain_R[1:].std(ddof=1))
