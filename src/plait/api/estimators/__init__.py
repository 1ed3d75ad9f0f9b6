"""Plait as estimators of scikit-learn: ``plait.PlaitClassifier``, ``plait.PlaitRegressor``; imported on first use."""

from __future__ import annotations

from plait.api.estimators.classifier import PlaitClassifier
from plait.api.estimators.regressor import PlaitRegressor

__all__ = ["PlaitClassifier", "PlaitRegressor"]
