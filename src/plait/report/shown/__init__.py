"""Reports in Python: dictionaries that show themselves in a notebook, as a data frame and as a plot."""

from __future__ import annotations

from plait.report.shown.report import ShownReport
from plait.report.shown.view import VIEWS, Bar, ReportView

__all__ = ["VIEWS", "Bar", "ShownReport", "ReportView"]
