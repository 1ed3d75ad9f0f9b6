"""Decision thresholds of two classes and of label sets, tuned on held-out rows that are no test rows.

A model's probabilities are learned by a proper loss; where it decides is another question, which depends on the metric.
For F1 the best threshold lies at half of the best F1 (Lipton, Elkan, Narayanaswamy 2014, "Optimal Thresholding of
Classifiers to Maximize F1 Measure", theorem 1), far below .5 for rare labels. Candidates are all places between two
different probabilities of the rows; of equally good ones the nearest to .5 is taken. Thresholds are kept only where the
gain shows on rows that did not tune them: four times five-fold, and more than one standard error above nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plait.tasks import Task
from plait.tasks.decisions import EVEN, class_decisions, label_decisions

FOLDS, REPEATS, RESAMPLES = 5, 4, 200
FEWEST = 5  # rows of each class, or of a label for a threshold of its own
FEWEST_ROWS = 20
MOST_PLACES = 400

CLASS_METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted")
LABEL_METRICS = ("f1_macro", "f1_micro", "exact_match")
Counts = np.ndarray  # of decisions: [.., K, 4], true and false positives, false and true negatives of K labels


@dataclass(frozen=True)
class TunedThresholds:
    """What was found.

    Attributes:
        values: The thresholds; empty: .5 stays.
        metric: What they were tuned for.
        before: The metric on the rows at .5.
        after: The metric on the same rows where each was decided by thresholds of the others.
    """

    values: tuple[float, ...]
    metric: str
    before: float
    after: float


def threshold_metric(task: Task, asked: str | None) -> str | None:
    """What thresholds of this task are tuned for; None: it has none.

    That is ``asked`` (``task.threshold_for``), else what selects the epoch, else the primary metric, where these count
    decisions, else macro-F1.

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
    return asked or next((m for m in (task.selects, task.primary) if m in known), "f1_macro")


def tune_thresholds(
    proba_NC: np.ndarray, target: np.ndarray, *, is_label_set: bool, metric: str, group_N: np.ndarray | None = None,
    seed: int = 0,
) -> TunedThresholds:  # fmt: skip
    """Tune thresholds on rows that the model has not learned from.

    Args:
        proba_NC: Probabilities, of two classes or of labels.
        target: Class numbers [N], or 0 and 1 [N, C].
        is_label_set: Whether the columns are labels of a set.
        metric: One of ``CLASS_METRICS`` or of ``LABEL_METRICS``.
        group_N: Rows of a group are dealt and drawn together; None: each row by itself.
        seed: Seed of folds and resamples.
    """
    group_N = np.arange(len(proba_NC)) if group_N is None else np.unique(group_N, return_inverse=True)[1]
    truth_NK = target >= EVEN if is_label_set else (target == 1)[:, None]
    even = _decided(proba_NC, (), is_label_set)
    before = float(_scores(truth_NK, even, np.ones((1, len(even))), metric, is_label_set)[0])
    stays = TunedThresholds((), metric, before, before)
    num_groups = len(np.unique(group_N))
    rare = not is_label_set and min(truth_NK.sum(), (~truth_NK).sum()) < FEWEST
    if len(proba_NC) < FEWEST_ROWS or num_groups < FOLDS or rare or not truth_NK.any():
        return stays
    best, gain = stays, 0.0
    for tune in _ways(is_label_set, metric):
        rng = np.random.default_rng(seed)
        outside = [
            _crossed(proba_NC, truth_NK, tune, is_label_set, folds)
            for folds in (_folds(group_N, num_groups, rng) for _ in range(REPEATS))
        ]
        mean, error = _gain(truth_NK, outside, even, metric, is_label_set, group_N, rng)
        if mean > max(error, gain + 1e-9):
            found = tune(proba_NC, truth_NK)
            best, gain = TunedThresholds(found, metric, before, before + mean), mean
    return best


def _ways(is_label_set: bool, metric: str) -> Iterator[Callable[[np.ndarray, np.ndarray], tuple[float, ...]]]:
    """How thresholds may be found, the simplest first."""
    if not is_label_set:
        yield lambda proba, truth: (_best_place(proba[:, 1], truth, metric),)
        return

    def shared(proba: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
        return (_best_shared(proba, truth, metric),) * proba.shape[1]

    yield shared
    if metric == "f1_macro":

        def each(proba: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
            common = shared(proba, truth)
            return tuple(
                _best_f1(proba[:, c], truth[:, c]) if truth[:, c].sum() >= FEWEST else common[c]
                for c in range(proba.shape[1])
            )

        yield each


def _decided(proba_NC: np.ndarray, thresholds: tuple[float, ...], is_label_set: bool) -> np.ndarray:
    """Decisions [N, K]."""
    if is_label_set:
        return label_decisions(proba_NC, thresholds)
    return (class_decisions(proba_NC, thresholds) == 1)[:, None]


def _counts(truth_NK: np.ndarray, guess_NK: np.ndarray) -> Counts:
    """Which of the four each decision is [N, K, 4]."""
    return np.stack([truth_NK & guess_NK, ~truth_NK & guess_NK, truth_NK & ~guess_NK, ~truth_NK & ~guess_NK], -1) * 1.0


def score_of(counts: Counts, metric: str, is_label_set: bool) -> np.ndarray:
    """A metric of summed decisions [.., K, 4]; not ``exact_match``, which is a mean over rows."""
    tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
    if is_label_set and metric == "f1_micro":
        tp, fp, fn = tp.sum(-1), fp.sum(-1), fn.sum(-1)
        return 2 * tp / np.maximum(2 * tp + fp + fn, 1e-12)
    if is_label_set:
        seen = tp + fp + fn > 0
        f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1e-12)
        return (f1 * seen).sum(-1) / np.maximum(seen.sum(-1), 1)
    tp, fp, fn, tn = tp[..., 0], fp[..., 0], fn[..., 0], tn[..., 0]
    total = np.maximum(tp + fp + fn + tn, 1e-12)
    if metric == "accuracy":
        return (tp + tn) / total
    if metric == "balanced_accuracy":
        return (tp / np.maximum(tp + fn, 1e-12) + tn / np.maximum(tn + fp, 1e-12)) / 2
    one, zero = 2 * tp / np.maximum(2 * tp + fp + fn, 1e-12), 2 * tn / np.maximum(2 * tn + fp + fn, 1e-12)
    if metric == "f1_weighted":
        return ((tp + fn) * one + (tn + fp) * zero) / total
    seen = (tp + fp + fn > 0) * 1.0 + (tn + fp + fn > 0)
    return (one + zero) / np.maximum(seen, 1)


def _scores(
    truth_NK: np.ndarray, guess_NK: np.ndarray, weight_RN: np.ndarray, metric: str, is_label_set: bool
) -> np.ndarray:
    """A metric of decisions under each weighing of the rows [R]."""
    if metric == "exact_match":
        return np.asarray((weight_RN @ (guess_NK == truth_NK).all(1)) / weight_RN.sum(1))
    counts = _counts(truth_NK, guess_NK)
    summed = (weight_RN @ counts.reshape(len(counts), -1)).reshape(-1, *counts.shape[1:])
    return score_of(summed, metric, is_label_set)


def _folds(group_N: np.ndarray, num_groups: int, rng: np.random.Generator) -> np.ndarray:
    """Number of the fold of each row [N]; groups stay whole."""
    found: np.ndarray = (rng.permutation(num_groups) % FOLDS)[group_N]
    return found


def _crossed(
    proba_NC: np.ndarray, truth_NK: np.ndarray, tune: Callable[[np.ndarray, np.ndarray], tuple[float, ...]],
    is_label_set: bool, fold_N: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Decisions of each row by thresholds that the rows of other folds tuned [N, K]."""
    guess_NK = np.zeros(truth_NK.shape, dtype=bool)
    for fold in range(FOLDS):
        held = fold_N == fold
        guess_NK[held] = _decided(proba_NC[held], tune(proba_NC[~held], truth_NK[~held]), is_label_set)
    return guess_NK


def _gain(
    truth_NK: np.ndarray, outside: list[np.ndarray], even_NK: np.ndarray, metric: str, is_label_set: bool,
    group_N: np.ndarray, rng: np.random.Generator,
) -> tuple[float, float]:  # fmt: skip
    """What held-out decisions gain over .5, and the standard error of that, from resamples of groups."""
    num_groups = int(group_N.max()) + 1
    drawn_RG = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=RESAMPLES)
    weight_RN = np.concatenate([np.ones((1, num_groups)), drawn_RG])[:, group_N]

    def scores(guess_NK: np.ndarray) -> np.ndarray:
        return _scores(truth_NK, guess_NK, weight_RN, metric, is_label_set)

    gain_R = np.mean([scores(guess) for guess in outside], axis=0) - scores(even_NK)
    return float(gain_R[0]), float(gain_R[1:].std(ddof=1))


def _places(proba_N: np.ndarray) -> np.ndarray:
    """Thresholds between different probabilities, and .5."""
    values = np.unique(proba_N)
    if len(values) > MOST_PLACES:
        values = np.unique(np.quantile(values, np.linspace(0, 1, MOST_PLACES)))
    return np.unique(np.append((values[1:] + values[:-1]) / 2, EVEN))


def _nearest_best(places_T: np.ndarray, scores_T: np.ndarray) -> float:
    """Of the best places the nearest to .5."""
    best = places_T[scores_T >= scores_T.max() - 1e-12]
    return float(best[np.abs(best - EVEN).argmin()])


def _best_place(proba_N: np.ndarray, truth_N1: np.ndarray, metric: str) -> float:
    """The best threshold of two classes."""
    places_T = _places(proba_N)
    counts_T14 = np.stack([_counts(truth_N1, (proba_N > t)[:, None]).sum(0) for t in places_T])
    return _nearest_best(places_T, score_of(counts_T14, metric, False))


def _best_shared(proba_NC: np.ndarray, truth_NC: np.ndarray, metric: str) -> float:
    """The best threshold for all labels at once, of hundredths."""
    places_T = np.arange(1, 100) / 100
    if metric == "exact_match":
        lowest_N = np.where(truth_NC, proba_NC, np.inf).min(
            1
        )  # right where t lies above every wrong label, not above it
        highest_N = np.where(truth_NC, -np.inf, proba_NC).max(1)
        right_T = [((highest_N < t) & (lowest_N >= t)).mean() for t in places_T]
        return _nearest_best(places_T, np.array(right_T))
    reached_NC = np.searchsorted(places_T, proba_NC, side="right")  # how many places answer it
    size, labels = len(places_T) + 1, np.arange(proba_NC.shape[1])
    cells = reached_NC * len(labels) + labels
    hits, every = (
        np.bincount(cells[chosen], minlength=size * len(labels)).reshape(size, -1)[::-1].cumsum(0)[::-1][1:]
        for chosen in (truth_NC, np.ones_like(truth_NC))
    )
    positives = truth_NC.sum(0)
    counts_TC4 = np.stack(
        [hits, every - hits, positives - hits, len(truth_NC) - positives - every + hits], axis=-1
    ).astype(np.float64)
    return _nearest_best(places_T, score_of(counts_TC4, metric, True))


def _best_f1(proba_N: np.ndarray, truth_N: np.ndarray) -> float:
    """The threshold with the best F1 of one label."""
    order = np.argsort(-proba_N, kind="stable")
    ranked, hits_N = proba_N[order], np.cumsum(truth_N[order])
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    f1 = 2 * hits_N[ends] / (ends + 1 + truth_N.sum())
    below = np.append(ranked[ends[1:]], 0.0)
    low, high = below, ranked[ends]  # answered from anywhere in (low, high] on
    place = np.where((low < EVEN) & (high >= EVEN), EVEN, (low + high) / 2)
    return _nearest_best(place, f1)
