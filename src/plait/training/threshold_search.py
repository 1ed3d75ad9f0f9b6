"""Where on given rows decisions are best: thresholds of two classes, of labels, and of many classes.

For F1 the best threshold of a label lies at half of the best F1 (Lipton, Elkan, Narayanaswamy 2014, "Optimal
Thresholding of Classifiers to Maximize F1 Measure", theorem 1), far below .5 for rare labels. Candidates are all places
between two different probabilities of the rows; of equally good ones the nearest to .5 is taken. Many classes are first
divided by a power of their shares (Menon et al. 2021, "Long-tail learning via logit adjustment", section 4.1), then
moved one after the other.
"""

from __future__ import annotations

import numpy as np

from plait.tasks.decisions import EVEN, class_decisions
from plait.training.decision_scores import counts_of, score_of

FEWEST = 5  # rows of a class or a label for a threshold of its own
MOST_PLACES = 400
POWERS = np.linspace(0.0, 1.2, 13)  # of the shares of classes; 0: the likeliest class
MOVES = np.linspace(-1.0, 1.0, 21)  # of the logarithm of one class' threshold
PASSES = 2


def best_power(proba_NC: np.ndarray, truth_NC: np.ndarray, metric: str) -> tuple[float, ...]:
    """Thresholds that are a power of each class' share of the rows, the power that is best; the lowest of equals."""
    share_C = (truth_NC.sum(0) + 0.5) / (len(truth_NC) + 0.5 * truth_NC.shape[1])
    tried = [_to_one(share_C**power) for power in POWERS]
    scores = [_score_at(proba_NC, truth_NC, limits, metric) for limits in tried]
    return tuple(map(float, tried[int(np.argmax(np.round(scores, 12)))]))


def best_each(proba_NC: np.ndarray, truth_NC: np.ndarray, metric: str) -> tuple[float, ...]:
    """Those, then each class' own moved to where it is best, from the rarest to the most frequent, twice.

    The smallest of equally good moves is taken. Classes with fewer than ``FEWEST`` rows are not moved.
    """
    limits = np.array(best_power(proba_NC, truth_NC, metric))
    order = [c for c in truth_NC.sum(0).argsort(kind="stable") if truth_NC[:, c].sum() >= FEWEST]
    for _ in range(PASSES):
        for c in order:
            tried = np.tile(limits, (len(MOVES), 1))
            tried[:, c] *= np.exp(MOVES)
            scores = np.array([_score_at(proba_NC, truth_NC, one, metric) for one in tried])
            best = np.flatnonzero(scores >= scores.max() - 1e-12)
            limits = tried[best[np.abs(MOVES[best]).argmin()]]
    return tuple(map(float, _to_one(limits)))


def _to_one(limits_C: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = limits_C / limits_C.sum()
    return scaled


def _score_at(proba_NC: np.ndarray, truth_NC: np.ndarray, limits_C: np.ndarray, metric: str) -> float:
    guess_N = class_decisions(proba_NC, tuple(limits_C))
    count = proba_NC.shape[1]
    guessed_C = np.bincount(guess_N, minlength=count)
    right_C = np.bincount(guess_N[truth_NC[np.arange(len(guess_N)), guess_N]], minlength=count)
    there_C = truth_NC.sum(0)
    four = np.stack([right_C, guessed_C - right_C, there_C - right_C, len(guess_N) - guessed_C - there_C + right_C], -1)
    return float(score_of(four.astype(np.float64), metric))


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


def best_place(proba_N: np.ndarray, truth_N: np.ndarray, metric: str) -> float:
    """The best threshold of two classes, by the probability of the second and whether it is right."""
    places_T = _places(proba_N)
    truth_N2 = np.stack([~truth_N, truth_N], 1)
    counts_T24 = np.stack([counts_of(truth_N2, np.stack([proba_N <= t, proba_N > t], 1)).sum(0) for t in places_T])
    return _nearest_best(places_T, score_of(counts_T24, metric))


def best_shared(proba_NC: np.ndarray, truth_NC: np.ndarray, metric: str) -> float:
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
    return _nearest_best(places_T, score_of(counts_TC4, metric))


def best_f1(proba_N: np.ndarray, truth_N: np.ndarray) -> float:
    """The threshold with the best F1 of one label."""
    order = np.argsort(-proba_N, kind="stable")
    ranked, hits_N = proba_N[order], np.cumsum(truth_N[order])
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    f1 = 2 * hits_N[ends] / (ends + 1 + truth_N.sum())
    below = np.append(ranked[ends[1:]], 0.0)
    low, high = below, ranked[ends]  # answered from anywhere in (low, high] on
    place = np.where((low < EVEN) & (high >= EVEN), EVEN, (low + high) / 2)
    return _nearest_best(place, f1)
