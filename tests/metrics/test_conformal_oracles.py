"""Conformal sets and intervals against MAPIE and crepes, calibrators against scikit-learn.

Adaptive sets are not compared: MAPIE draws a random share of the last class in their scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plait.metrics.trust import conformal_quantile, lac_scores, prediction_sets, scores_of_truth

pytestmark = pytest.mark.oracle


def rows(seed: int = 0, count: int = 700, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, probabilities of a model that is half right, truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)) * 1.5
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return logits, proba, truth


def model_of(classes: int) -> Any:
    """A fitted classifier whose features are logits."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Softmax(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Any:
            self.classes_, self.n_features_in_ = np.arange(classes), classes
            return self

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict_proba(self, X: Any) -> Any:
            return np.exp(X) / np.exp(X).sum(1, keepdims=True)

        def predict(self, X: Any) -> Any:
            return self.predict_proba(X).argmax(1)

    return Softmax().fit(None)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("calibrating", [25, 60, 203])
def test_sets_equal_mapie(coverage: float, calibrating: int) -> None:
    pytest.importorskip("mapie", "1.6", reason="extra dev")
    from mapie.classification import SplitConformalClassifier

    logits, proba, truth = rows()
    old, new = slice(None, calibrating), slice(calibrating, None)

    theirs = SplitConformalClassifier(model_of(4), confidence_level=coverage, conformity_score="lac", prefit=True)
    theirs.conformalize(logits[old], truth[old])
    limit = conformal_quantile(scores_of_truth(lac_scores(proba[old]), truth[old]), coverage)
    assert np.array_equal(prediction_sets(lac_scores(proba[new]), limit), theirs.predict_set(logits[new])[1][:, :, 0])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_and_intervals_equal_crepes(coverage: float) -> None:
    pytest.importorskip("crepes", reason="extra dev")
    from crepes import ConformalClassifier, ConformalRegressor

    _, proba, truth = rows(1)
    own = scores_of_truth(lac_scores(proba[:200]), truth[:200])
    theirs = ConformalClassifier()
    theirs.fit(own)
    wanted = theirs.predict_set(lac_scores(proba[200:]), confidence=coverage, smoothing=False)
    found = prediction_sets(lac_scores(proba[200:]), conformal_quantile(own, coverage))
    assert [set(np.flatnonzero(row)) for row in found] == [
        set(np.flatnonzero(row)) if len(row) == 4 and set(np.asarray(row).tolist()) <= {0, 1} else set(row)
        for row in wanted
    ]
    residuals = np.random.default_rng(2).normal(size=150)
    regressor = ConformalRegressor()
    regressor.fit(residuals)
    interval = regressor.predict_int(np.zeros(3), confidence=coverage)
    assert interval[:, 1].tolist() == [conformal_quantile(np.abs(residuals), coverage)] * 3


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_temperature_equals_scikit_learn(temperature: float) -> None:
    import sklearn
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    from plait.tasks.calibrators import Temperature

    if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8):
        pytest.skip("scikit-learn before 1.8 has no temperature scaling")
    logits, _, truth = rows(3, 2000)
    found = Temperature.fit(logits * temperature, truth)
    theirs = CalibratedClassifierCV(FrozenEstimator(model_of(4)), method="temperature")
    theirs.fit(logits * temperature, truth)
    beta = np.mean([c.calibrators[0].beta_ for c in theirs.calibrated_classifiers_])
    assert 1 / found.temperature == pytest.approx(float(beta), rel=2e-3)
