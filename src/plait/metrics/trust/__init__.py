"""Measures of trust as pure functions of arrays.

``calibration`` measures how far confidence is from being right, ``reliability`` draws it and says what a perfectly
calibrated model of this size would show, ``risk_coverage`` what abstaining gains, ``conformal`` makes sets and
intervals with a promise, ``mondrian`` keeps the promise in every group of rows. Label errors, drift, foreign rows,
slices and partial information are measured in files of their own.
"""

from __future__ import annotations

from plait.metrics.trust.calibration import brier_score, calibration_error, classwise_calibration_error, log_score
from plait.metrics.trust.conformal import (
    aps_scores,
    conformal_quantile,
    lac_scores,
    prediction_sets,
    quantile_interval_scores,
    raps_scores,
    scores_of_truth,
)
from plait.metrics.trust.mondrian import coverage_by_group, group_quantiles, pooled_groups
from plait.metrics.trust.reliability import expected_calibration_error_of_perfect, reliability
from plait.metrics.trust.risk_coverage import aurc, risk_coverage

__all__ = [
    "aps_scores", "aurc", "brier_score", "calibration_error", "classwise_calibration_error", "conformal_quantile",
    "coverage_by_group", "expected_calibration_error_of_perfect", "group_quantiles", "lac_scores", "log_score",
    "pooled_groups", "prediction_sets", "quantile_interval_scores", "raps_scores", "reliability", "risk_coverage",
    "scores_of_truth",
]  # fmt: skip
