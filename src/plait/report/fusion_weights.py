"""The section of the page on the weights that a fusion gives the modalities: mean and spread over rows."""

from __future__ import annotations

from typing import Any

from plait.report.template import fill
from plait.report.words import number

TEMPLATE = "report/fusion_weights.html.jinja"


def section(report: dict[str, Any]) -> str:
    """A table, one row a modality."""
    found = (report.get("evaluation") or {}).get("fusion_weights")
    if not found:
        return ""
    lead = (
        f"The share that the fusion of the network gives each modality, over {number(found.get('rows'))} judged rows. "
        "It says what the network weighs, not what the answers rest on: plait explain measures that."
    )
    return fill(TEMPLATE, "section", lead=lead, rows=found.get("modalities") or [])
