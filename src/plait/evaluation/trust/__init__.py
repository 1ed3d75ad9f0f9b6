"""Whether a model can be believed, on rows whose answers are known: calibration, conformal prediction, abstention."""

from __future__ import annotations

from plait.evaluation.trust.calibrating import CALIBRATED_KINDS, fit_calibration
from plait.evaluation.trust.report import trust_report

__all__ = ["CALIBRATED_KINDS", "fit_calibration", "trust_report"]
