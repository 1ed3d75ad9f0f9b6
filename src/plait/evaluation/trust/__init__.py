"""The trust report: what a careful person reads before shipping a model, one part a file, each a record in a list."""

from __future__ import annotations

import plait.evaluation.trust.label_errors
import plait.evaluation.trust.mismatch
import plait.evaluation.trust.ood
import plait.evaluation.trust.robustness
import plait.evaluation.trust.slices  # noqa: F401  each adds its record
from plait.evaluation.trust.base import TRUST_PARTS, TrustInputs, TrustPart, parts_report

__all__ = ["TRUST_PARTS", "TrustInputs", "TrustPart", "parts_report"]
