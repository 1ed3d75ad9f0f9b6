"""The sections of the page that show each class by itself, and what cleaning did to the texts."""

from __future__ import annotations

from typing import Any

from plait.report.template import fill

TEMPLATE = "report/classes.html.jinja"
_MAX_CLASSES = 100


def class_table(report: dict[str, Any]) -> str:
    """Precision, recall and F1 of every class, each with its interval."""
    rows = (report.get("evaluation") or {}).get("per_class") or []
    more = f"{len(rows) - _MAX_CLASSES:,}" if len(rows) > _MAX_CLASSES else ""
    return fill(TEMPLATE, "class_table", rows=rows[:_MAX_CLASSES], more=more) if rows else ""


def cleaned(report: dict[str, Any]) -> str:
    """Some texts before and after cleaning."""
    return fill(TEMPLATE, "cleaned", entries=(report.get("evaluation") or {}).get("cleaned") or [])
