"""Decision thresholds: places and scores worked by hand, kept only where held-out rows gain."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fixtures.lazy import lazy

tune_thresholds, score_of, threshold_metric, _best_f1, _best_place, _best_shared = lazy(
    "plait.training.thresholds", "tune_thresholds", "score_of", "threshold_metric", "_best_f1", "_best_place",
    "_best_shared",
)  # fmt: skip


def calibrated(seed: int, rows: int, labels: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    proba = 1 / (1 + np.exp(-rng.normal(size=(rows, labels)) * 1.5 - shift))
    return proba, (rng.random(proba.shape) < proba).astype(float)


def test_scores_of_counts_are_those_of_the_metrics() -> None:
    from plait.metrics.label import classification_metrics, multilabel_metrics

    rng = np.random.default_rng(0)
    proba, truth = rng.random((40, 3)), rng.integers(0, 2, (40, 3)).astype(bool)
    guess = proba >= 0.3
    counts = np.stack([(truth & guess).sum(0), (~truth & guess).sum(0), (truth & ~guess).sum(0),
                       (~truth & ~guess).sum(0)], -1)  # fmt: skip
    wanted = multilabel_metrics(truth, proba, threshold=0.3)
    for name in ("f1_micro", "f1_macro"):
        assert score_of(counts, name, True) == pytest.approx(wanted[name])
    pairs = np.stack([1 - proba[:, 0], proba[:, 0]], 1)
    wanted = classification_metrics(truth[:, 0], pairs, guess=guess[:, 0])
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted"):
        assert score_of(counts[:1], name, False) == pytest.approx(wanted[name])


def test_the_best_place_is_found_by_hand() -> None:
    # answered from .3 on: two of two found, one false: F1 = 4/5; from .6 on one of two: F1 = 2/3
    assert _best_f1(np.array([0.1, 0.3, 0.4, 0.6]), np.array([0, 1, 0, 1], dtype=bool)) == pytest.approx(0.2)
    # .5 divides them as well as any other place
    assert _best_f1(np.array([0.2, 0.9]), np.array([False, True])) == 0.5
    found = _best_place(np.array([0.1, 0.2, 0.3, 0.4]), np.array([[False], [False], [True], [True]]), "accuracy")
    assert found == pytest.approx(0.25)
    truth = np.array([[True, False], [False, True]])
    assert _best_shared(np.array([[0.4, 0.1], [0.2, 0.35]]), truth, "exact_match") == pytest.approx(0.35)
    assert _best_shared(np.array([[0.4, 0.1], [0.2, 0.35]]), truth, "f1_micro") == pytest.approx(0.35)


def test_rare_labels_get_low_thresholds_that_gain_on_other_rows() -> None:
    proba, truth = calibrated(0, 500, 12, -2.5)
    found = tune_thresholds(proba, truth, is_label_set=True, metric="f1_macro")
    assert len(found.values) == 12 and max(found.values) < 0.5
    assert found.after > found.before + 0.05
    fresh, answers = calibrated(1, 2000, 12, -2.5)

    def f1(limits: object) -> float:
        from plait.metrics.label import multilabel_metrics

        return float(multilabel_metrics(answers, fresh, threshold=limits)["f1_macro"])

    assert f1(found.values) > f1(0.5) + 0.05


def test_what_is_best_at_one_half_mostly_stays_there() -> None:
    kept = 0
    for seed in range(20):
        proba, truth = calibrated(seed, 200, 1, 0.0)
        pairs = np.hstack([1 - proba, proba])
        kept += bool(
            tune_thresholds(pairs, truth[:, 0].astype(int), is_label_set=False, metric="accuracy", seed=seed).values
        )
    assert kept <= 4


@pytest.mark.parametrize("rows", [1, 4, 19])
def test_few_rows_tune_nothing(rows: int) -> None:
    proba, truth = calibrated(0, rows, 3, -2.0)
    assert tune_thresholds(proba, truth, is_label_set=True, metric="f1_macro").values == ()


def test_equal_probabilities_tune_nothing() -> None:
    pairs = np.full((100, 2), 0.5)
    assert tune_thresholds(pairs, np.arange(100) % 2, is_label_set=False, metric="accuracy").values == ()


def test_rows_of_a_group_are_dealt_together() -> None:
    """Fifty copies of four rows are four rows: too few."""
    proba, truth = calibrated(0, 4, 3, -2.0)
    groups = np.repeat(np.arange(4), 50)
    found = tune_thresholds(proba[groups], truth[groups], is_label_set=True, metric="f1_macro", group_N=groups)
    assert found.values == ()


def test_the_metric_is_the_chosen_one() -> None:
    from dataclasses import replace

    from plait.tasks import TASKS

    two, many = TASKS.get("classification"), TASKS.get("multilabel")
    assert threshold_metric(two, None) == "accuracy"
    assert threshold_metric(replace(two, selects="f1_macro"), None) == "f1_macro"
    assert threshold_metric(many, None) == "f1_macro"
    assert threshold_metric(many, "f1_micro") == "f1_micro"
    assert threshold_metric(TASKS.get("regression"), None) is None
    with pytest.raises(ValueError, match=r"task\.threshold_for=f1_micro.*accuracy"):
        threshold_metric(two, "f1_micro")
