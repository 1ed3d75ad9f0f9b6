"""The trust report: what a careful person reads before shipping a model, one part a file, each a record in a list.

Calibration, conformal prediction and abstention rest on calibration rows and are learned with them.
"""

from __future__ import annotations

import plait.evaluation.trust.duplicates
import plait.evaluation.trust.label_errors
import plait.evaluation.trust.mismatch
import plait.evaluation.trust.ood
import plait.evaluation.trust.robustness
import plait.evaluation.trust.slices  # noqa: F401  each adds its record
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, parts_report
from plait.evaluation.trust.calibrating import CALIBRATED_KINDS, fit_calibration
from plait.evaluation.trust.report import trust_report

__all__ = [
    "CALIBRATED_KINDS", "TRUST_PARTS", "TrustInputs", "TrustPart", "fit_calibration", "parts_report", "trust_report",
]  # fmt: skip
