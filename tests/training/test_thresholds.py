"""Decision thresholds: places and scores worked by hand, kept only where held-out rows gain."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.lazy import lazy

tune_thresholds, threshold_metric = lazy("plait.training.thresholds", "tune_thresholds", "threshold_metric")
counts_of, score_of = lazy("plait.training.decision_scores", "counts_of", "score_of")
best_f1, best_place, best_shared, best_power, best_each = lazy(
    "plait.training.threshold_search", "best_f1", "best_place", "best_shared", "best_power", "best_each"
)


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
    counts = counts_of(truth, guess).sum(0)
    wanted = multilabel_metrics(truth, proba, threshold=0.3)
    for name in ("f1_micro", "f1_macro"):
        assert score_of(counts, name) == pytest.approx(wanted[name])
    pairs = np.stack([1 - proba[:, 0], proba[:, 0]], 1)
    wanted = classification_metrics(truth[:, 0], pairs, guess=guess[:, 0])
    both = counts_of(np.stack([~truth[:, 0], truth[:, 0]], 1), np.stack([~guess[:, 0], guess[:, 0]], 1)).sum(0)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted"):
        assert score_of(both, name) == pytest.approx(wanted[name])
    four, classes = rng.random((40, 4)), np.minimum(rng.integers(0, 5, 40), 2)  # no row is of the last class
    four /= four.sum(1, keepdims=True)
    wanted, hot = classification_metrics(classes, four), np.arange(4)
    counts = counts_of(classes[:, None] == hot, four.argmax(1)[:, None] == hot).sum(0)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted"):
        assert score_of(counts, name) == pytest.approx(wanted[name])


def test_the_best_place_is_found_by_hand() -> None:
    # answered from .3 on: two of two found, one false: F1 = 4/5; from .6 on one of two: F1 = 2/3
    assert best_f1(np.array([0.1, 0.3, 0.4, 0.6]), np.array([0, 1, 0, 1], dtype=bool)) == pytest.approx(0.2)
    # .5 divides them as well as any other place
    assert best_f1(np.array([0.2, 0.9]), np.array([False, True])) == 0.5
    found = best_place(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True]), "accuracy")
    assert found == pytest.approx(0.25)
    truth = np.array([[True, False], [False, True]])
    assert best_shared(np.array([[0.4, 0.1], [0.2, 0.35]]), truth, "exact_match") == pytest.approx(0.35)
    assert best_shared(np.array([[0.4, 0.1], [0.2, 0.35]]), truth, "f1_micro") == pytest.approx(0.35)


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
    assert threshold_metric(two, None, 3) is None  # the likeliest class is what accuracy asks for
    assert threshold_metric(two, "accuracy", 3) is None
    assert threshold_metric(two, "f1_macro", 3) == "f1_macro"
    assert threshold_metric(replace(two, selects="f1_macro"), None, 3) == "f1_macro"
    assert threshold_metric(replace(two, selects="log_loss"), None, 3) is None
    with pytest.raises(ValueError, match=r"task\.threshold_for=f1_micro.*accuracy"):
        threshold_metric(two, "f1_micro")


def three_classes(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Right probabilities of a rare, a less rare and a frequent class, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 3)) + np.log([0.08, 0.3, 0.62])
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return proba, (rng.random((rows, 1)) > proba.cumsum(1)).sum(1)


def test_rare_classes_get_low_thresholds_that_gain_on_other_rows() -> None:
    from plait.metrics.label import classification_metrics
    from plait.tasks.decisions import class_decisions

    proba, truth = three_classes(0, 900)
    found = tune_thresholds(proba, truth, is_label_set=False, metric="f1_macro")
    assert len(found.values) == 3 and found.values[0] < found.values[1] < found.values[2]
    fresh, answers = three_classes(1, 3000)
    before = classification_metrics(answers, fresh)["f1_macro"]
    after = classification_metrics(answers, fresh, guess=class_decisions(fresh, found.values))["f1_macro"]
    assert after > before + 0.03
    assert found.after == pytest.approx(after, abs=0.04)


def test_the_power_of_shares_that_gives_balanced_accuracy_is_one() -> None:
    """Probabilities over shares are likelihoods: Bayes' rule for classes that count alike."""
    proba, truth = three_classes(2, 4000)
    hot = truth[:, None] == np.arange(3)
    found = np.array(best_power(proba, hot, "balanced_accuracy"))
    assert np.abs(found - hot.mean(0)).max() < 0.06


def test_each_class_is_moved_no_further_than_it_must() -> None:
    proba = np.array([[0.5, 0.3, 0.2]] * 10 + [[0.6, 0.1, 0.3]] * 10 + [[0.45, 0.43, 0.12]] * 10)
    truth = np.repeat([0, 2, 1], 10)[:, None] == np.arange(3)
    from plait.tasks.decisions import class_decisions

    guess = class_decisions(proba, best_each(proba, truth, "accuracy"))
    assert (guess == np.repeat([0, 2, 1], 10)).mean() == 1.0
    easy = np.eye(3)[np.arange(30) % 3] * 0.8 + 0.2 / 3
    assert best_each(easy, easy > 0.5, "f1_macro") == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize("limits", [(0.5,), (0.5, 0.5), (0.5, 0.5, 0.0)])
def test_thresholds_that_do_not_fit_are_refused(limits: tuple[float, ...]) -> None:
    from plait.tasks.decisions import class_decisions

    with pytest.raises(ValueError, match="threshold"):
        class_decisions(np.full((2, 3), 1 / 3), limits)
