"""Label metrics against numbers worked by hand, against scikit-learn, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.lazy import lazy
from plait.metrics import classification_metrics, multilabel_metrics, regression_metrics

oracle = lazy("sklearn.metrics")


def test_binary_by_hand() -> None:
    got = classification_metrics([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.65, 0.35], [0.2, 0.8]])
    assert got["accuracy"] == 0.5 and got["balanced_accuracy"] == 0.5
    assert got["f1_macro"] == 0.5
    assert got["auroc"] == 0.75  # of four pairs only (0.35, 0.6) is in the wrong order
    assert got["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert got["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.35, 0.8]).mean())
    assert got["notes"] == []


@pytest.mark.oracle
@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("digits", [1, 12])
def test_classification_equals_sklearn(num_classes: int, digits: int) -> None:
    rng = np.random.default_rng(num_classes)
    y = rng.integers(0, num_classes, 300)
    proba = np.round(rng.dirichlet(np.ones(num_classes), 300), digits)  # one digit: many ties
    proba = (proba + 1e-3) / (proba + 1e-3).sum(axis=1, keepdims=True)
    pred, got = proba.argmax(axis=1), classification_metrics(y, proba)
    scores = proba[:, 1] if num_classes == 2 else proba
    one_hot = y if num_classes == 2 else np.eye(num_classes)[y]
    want = {
        "accuracy": oracle.accuracy_score(y, pred),
        "balanced_accuracy": oracle.balanced_accuracy_score(y, pred),
        "f1_macro": oracle.f1_score(y, pred, average="macro"),
        "f1_weighted": oracle.f1_score(y, pred, average="weighted"),
        "auroc": oracle.roc_auc_score(y, scores, multi_class="ovr"),
        "average_precision": oracle.average_precision_score(one_hot, scores, average="macro"),
        "log_loss": oracle.log_loss(y, proba),
    }
    assert {k: got[k] for k in want} == pytest.approx(want, abs=1e-12)


def test_one_class_is_undefined_and_never_one_half() -> None:
    got = classification_metrics([1, 1], [[0.2, 0.8], [0.6, 0.4]])
    assert got["auroc"] is None and got["average_precision"] is None
    assert any("auroc is undefined: every row has class 1" in n for n in got["notes"])
    assert got["accuracy"] == 0.5


def test_absent_class_is_left_out_with_a_note() -> None:
    got = classification_metrics([0, 1, 0], [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])
    assert got["auroc"] == 1.0 and got["accuracy"] == 1.0
    assert any("auroc leaves out 1 of 3 classes" in n for n in got["notes"])


def test_one_row_works() -> None:
    assert classification_metrics([0], [[0.9, 0.1]])["accuracy"] == 1.0
    assert regression_metrics([1.0], [2.0])["mae"] == 1.0


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "1 NaN or infinite values, first in row 1"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], "not logits"),
        ([0, 1], [[0.5, 0.2], [0.5, 0.5]], "row 0 of proba sums to 0.7"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "class 2"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], "class -1"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "1 rows but proba has 2"),
        ([0.5, 1], [[0.5, 0.5], [0.5, 0.5]], "no whole numbers"),
        ([], np.zeros((0, 2)), "no rows"),
        ([0], [0.5], "expected .rows, classes."),
    ],
)
def test_bad_input_is_refused_in_words(y: object, proba: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classification_metrics(y, proba)  # type: ignore[arg-type]


def test_multilabel_by_hand() -> None:
    y = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
    proba = [[0.9, 0.2, 0.1], [0.6, 0.7, 0.1], [0.8, 0.3, 0.1], [0.1, 0.1, 0.1]]
    got = multilabel_metrics(y, proba)
    # label 0: tp 2 fp 1 fn 0; label 1: tp 1 fp 0 fn 1; label 2: nothing true, nothing predicted
    assert got["f1_micro"] == pytest.approx(6 / 8)
    assert got["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert got["exact_match"] == 0.5 and got["hamming"] == pytest.approx(2 / 12)
    assert got["mAP"] == 1.0 and got["auroc_macro"] == 1.0
    assert len(got["notes"]) == 3


@pytest.mark.oracle
def test_multilabel_equals_sklearn() -> None:
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 2, (200, 5)), np.round(rng.random((200, 5)), 2)
    got, pred = multilabel_metrics(y, proba), proba >= 0.5
    want = {
        "f1_micro": oracle.f1_score(y, pred, average="micro"),
        "f1_macro": oracle.f1_score(y, pred, average="macro"),
        "mAP": oracle.average_precision_score(y, proba, average="macro"),
        "auroc_macro": oracle.roc_auc_score(y, proba, average="macro"),
        "exact_match": oracle.accuracy_score(y, pred),
        "hamming": oracle.hamming_loss(y, pred),
    }
    assert {k: got[k] for k in want} == pytest.approx(want, abs=1e-12)


def test_multilabel_without_any_label() -> None:
    got = multilabel_metrics([[0, 0]], [[0.1, 0.2]])
    assert got["mAP"] is None and got["auroc_macro"] is None and got["f1_micro"] is None
    assert got["exact_match"] == 1.0
    with pytest.raises(ValueError, match="other than 0 and 1"):
        multilabel_metrics([[2, 0]], [[0.1, 0.2]])
    with pytest.raises(ValueError, match="shape"):
        multilabel_metrics([[1]], [[0.1, 0.2]])


@pytest.mark.oracle
def test_regression_equals_sklearn() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(3e5, 1e5, 100)
    pred = y + rng.normal(0, 5e4, 100)
    got = regression_metrics(y, pred)
    assert got["mae"] == pytest.approx(oracle.mean_absolute_error(y, pred))
    assert got["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, pred))
    assert got["r2"] == pytest.approx(oracle.r2_score(y, pred))
    assert got["pearson"] == pytest.approx(np.corrcoef(y, pred)[0, 1])


def test_regression_undefined() -> None:
    flat = regression_metrics([0.1, 0.1, 0.1], [1.0, 2.0, 3.0])
    assert flat["r2"] is None and flat["pearson"] is None and len(flat["notes"]) == 2
    constant = regression_metrics([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert constant["r2"] == 0.0 and constant["pearson"] is None
    with pytest.raises(ValueError, match="NaN"):
        regression_metrics([1.0], [np.nan])
    with pytest.raises(ValueError, match="no rows"):
        regression_metrics([], [])
