"""Metrics of many resamples at once are those of each resample by itself, undefined ones among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plait.metrics.intervals import (
    Resampled,
    metric_intervals,
    on_resamples,
    paired_metric_difference,
    units_of_rows,
)
from plait.metrics.label import classification_metrics, multilabel_metrics, regression_metrics
from plait.metrics.ordinal import ordinal_metrics
from plait.metrics.resampled import (
    classification_resampled,
    multilabel_resampled,
    ordinal_resampled,
    regression_resampled,
)

Case = tuple[int, Callable[[np.ndarray], dict[str, Any]], Resampled]


def of_classes(rows: int, classes: int, seed: int, *, ties: bool, thresholds: bool = False) -> Case:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(classes), rows)
    if ties:
        proba = np.round(proba * 4) + 0.01
        proba /= proba.sum(1, keepdims=True)
    truth = np.where(rng.random(rows) < 0.7, 0, rng.integers(0, classes, rows))  # most classes are rare
    guess = rng.integers(0, classes, rows) if thresholds else proba.argmax(1)
    on = classification_resampled(truth, proba, guess)
    return rows, lambda at: classification_metrics(truth[at], proba[at], guess=guess[at]), on


def of_labels(rows: int, labels: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    truth, proba = rng.random((rows, labels)) < rng.random(labels) * 0.5, np.round(rng.random((rows, labels)), 1)
    limits = rng.random(labels)
    on = multilabel_resampled(truth, proba, threshold=limits)
    return rows, lambda at: multilabel_metrics(truth[at], proba[at], threshold=limits), on


def of_numbers(rows: int, seed: int, *, far: float = 0.0) -> Case:
    rng = np.random.default_rng(seed)
    truth = np.round(rng.normal(size=rows) * 2) + 1000.0
    truth[0] += far
    pred = truth + np.round(rng.normal(size=rows), 1)
    return rows, lambda at: regression_metrics(truth[at], pred[at]), regression_resampled(truth, pred)


def of_ranks(rows: int, classes: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    pred = np.clip(truth + rng.integers(-1, 2, rows), 0, classes - 1)
    return rows, lambda at: ordinal_metrics(truth[at], pred[at], classes), ordinal_resampled(truth, pred)


CASES = {
    "two classes": of_classes(12, 2, 0, ties=False),
    "two classes with ties": of_classes(40, 2, 1, ties=True),
    "five classes": of_classes(60, 5, 2, ties=True),
    "classes by thresholds": of_classes(30, 3, 3, ties=False, thresholds=True),
    "one class": (6, lambda at: classification_metrics(np.ones(len(at)), np.full((len(at), 2), 0.5)),
                  classification_resampled(np.ones(6), np.full((6, 2), 0.5), np.zeros(6))),
    "few rows": of_classes(3, 4, 4, ties=False),
    "labels": of_labels(25, 4, 5),
    "few labels": of_labels(3, 2, 6),
    "numbers": of_numbers(30, 7),
    "few numbers": of_numbers(3, 8),
    "numbers with one far away": of_numbers(20, 9, far=1e9),
    "ranks": of_ranks(30, 5, 10),
    "few ranks": of_ranks(3, 3, 11),
}  # fmt: skip


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_each_resample_is_measured_as_by_itself(name: str, grouped: bool) -> None:
    rows, metrics, resampled = CASES[name]
    units = units_of_rows(rows, np.arange(rows) // 2 if grouped else None)
    point = metrics(np.arange(rows))
    names = [k for k in point if k != "notes"]
    found = on_resamples(resampled, units, rows, 60, 4, names)
    rng, some = np.random.default_rng(4), 0
    for draw in range(60):
        at = np.concatenate([units[i] for i in rng.integers(0, len(units), len(units))])
        expected = metrics(at)
        for key in names:
            value = np.nan if expected[key] is None else expected[key]
            assert found[key][draw] == pytest.approx(value, rel=1e-7, abs=1e-9, nan_ok=True), (draw, key)
            some += np.isfinite(value)
    assert some > 60


@pytest.mark.parametrize("name", ["five classes", "labels", "numbers", "two classes with ties"])
def test_intervals_and_differences_are_the_same(name: str) -> None:
    rows, metrics, resampled = CASES[name]
    slow = metric_intervals(metrics, rows, resamples=80, seed=2)
    fast = metric_intervals(metrics, rows, resamples=80, seed=2, resampled=resampled)
    for key, entry in slow.items():
        assert fast[key] == pytest.approx(entry, rel=1e-7, abs=1e-9, nan_ok=True), key
    key = next(iter(slow))
    assert metric_intervals(metrics, rows, resamples=80, seed=2, resampled=resampled, only=[key]) == {key: fast[key]}
    last = list(slow)[-1]

    def one(at: np.ndarray) -> float | None:
        return metrics(at)[key]

    def other(at: np.ndarray) -> float | None:
        return metrics(at)[last]

    def gap(counts: np.ndarray) -> np.ndarray:
        both = resampled(counts, [key, last])
        return both[key] - both[last]

    found = paired_metric_difference(one, other, rows, resamples=80, seed=2, resampled=gap)
    assert found == pytest.approx(paired_metric_difference(one, other, rows, resamples=80, seed=2), rel=1e-7, abs=1e-9)


def test_more_rows_than_are_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.metrics import intervals

    rows, metrics, resampled = CASES["five classes"]
    whole = metric_intervals(metrics, rows, resamples=50, resampled=resampled)
    monkeypatch.setattr(intervals, "_CACHED_CELLS", 100)  # one draw a piece
    pieces = metric_intervals(metrics, rows, resamples=50, resampled=resampled)
    assert all(pieces[key] == pytest.approx(entry) for key, entry in whole.items())
