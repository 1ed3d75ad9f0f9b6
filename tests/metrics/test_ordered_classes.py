"""Ordered classes and class-by-class metrics: worked by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.ordinal import ordinal_metrics
from plait.metrics.per_class import MOST_WITH_INTERVALS, per_class


def test_ranks_by_hand() -> None:
    # Distances 0, 1, 2, 0: squares sum to 5. Margins: truth 1 1 2, prediction 2 0 2; by chance
    # (1*0*2 + 1*4*2 + 1*1*2 + 1*1*2 + 2*4*2 + 0) / 4 = (8 + 2 + 2 + 16) / 4 = 7.
    found = ordinal_metrics([0, 1, 2, 2], [0, 2, 0, 2], 3)
    assert found["rank_mae"] == 0.75 and found["quadratic_kappa"] == pytest.approx(1 - 5 / 7)
    assert ordinal_metrics([0, 1, 2], [0, 1, 2], 3)["quadratic_kappa"] == 1.0
    assert ordinal_metrics([0, 1], [1, 0], 2)["quadratic_kappa"] == pytest.approx(-1.0)


def test_kappa_of_one_class_is_undefined() -> None:
    found = ordinal_metrics([1, 1], [1, 1], 3)
    assert found["quadratic_kappa"] is None and "undefined" in found["notes"][0]
    with pytest.raises(ValueError, match="2 rows and y_pred 1"):
        ordinal_metrics([0, 1], [0], 3)


@pytest.mark.oracle
def test_against_scikit_learn() -> None:
    from sklearn.metrics import cohen_kappa_score, mean_absolute_error, precision_recall_fscore_support

    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 5, (2, 300))
    found = ordinal_metrics(truth, guess, 5)
    assert found["quadratic_kappa"] == pytest.approx(cohen_kappa_score(truth, guess, weights="quadratic"), abs=1e-12)
    assert found["rank_mae"] == pytest.approx(mean_absolute_error(truth, guess))
    rows = per_class(truth[:, None] == np.arange(5), guess[:, None] == np.arange(5), list("abcde"), resamples=20)
    precision, recall, f1, support = precision_recall_fscore_support(truth, guess)
    for c, row in enumerate(rows):
        assert row["precision"]["value"] == pytest.approx(precision[c]) and row["support"] == support[c]
        assert row["recall"]["value"] == pytest.approx(recall[c]) and row["f1"]["value"] == pytest.approx(f1[c])


def test_class_by_class_by_hand() -> None:
    truth = np.array([0] * 8 + [1] * 2)[:, None] == np.arange(3)
    guess = np.array([0] * 6 + [1] * 4)[:, None] == np.arange(3)
    a, b, never = per_class(truth, guess, ["a", "b", "never"], resamples=500)
    assert (a["support"], a["predicted"], b["support"], b["predicted"]) == (8, 6, 2, 4)
    assert a["precision"]["value"] == 1.0 and a["recall"]["value"] == 0.75
    assert a["f1"]["value"] == pytest.approx(12 / 14) and b["f1"]["value"] == pytest.approx(4 / 6)
    low, high = a["precision"]["low"], a["precision"]["high"]  # Wilson for 6 of 6: 6 / (6 + 1.96^2) to 1
    assert low == pytest.approx(6 / (6 + 1.959964**2), abs=1e-4) and high == 1.0
    low, high = a["recall"]["low"], a["recall"]["high"]
    assert low is not None and high is not None and 0.3 < low < 0.75 < high <= 1.0
    assert never["precision"] == never["recall"] == never["f1"] == {"value": None, "low": None, "high": None}


def test_groups_widen_the_intervals_and_many_classes_have_none() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.5, 10)
    truth = np.zeros(200, int)[:, None] == np.arange(2)
    guess = np.where(right, 0, 1)[:, None] == np.arange(2)
    alone = per_class(truth, guess, ["a", "b"])[0]["recall"]
    tied = per_class(truth, guess, ["a", "b"], groups=np.repeat(np.arange(20), 10))[0]["recall"]
    assert tied["high"] - tied["low"] > 2 * (alone["high"] - alone["low"])  # type: ignore[operator]
    many = np.eye(MOST_WITH_INTERVALS + 1, dtype=bool)
    assert per_class(many, many, [str(i) for i in range(len(many))])[0]["f1"] == {
        "value": 1.0,
        "low": None,
        "high": None,
    }
    with pytest.raises(ValueError, match=r"\[rows, classes\] twice"):
        per_class([[1, 0]], [[1]], ["a", "b"])
