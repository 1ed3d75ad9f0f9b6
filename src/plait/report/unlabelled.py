"""The section of the page on rows without a target: how they taught, what they got, and which network is kept."""

from __future__ import annotations

from typing import Any

from plait.report.template import fill
from plait.report.words import number

TEMPLATE = "report/unlabelled.html.jinja"
MOST_CLASSES = 30


def section(report: dict[str, Any]) -> str:
    """The guard's decision, what is to be known of the pseudo-labels, and how many each class got."""
    part = report.get("unlabelled") or {}
    if not part:
        return ""
    classes = sorted((part.get("classes") or {}).items(), key=lambda entry: (-entry[1], entry[0]))
    total = part.get("pseudo_labelled") or 0
    rows = [(name, count, count / total) for name, count in classes[:MOST_CLASSES]] if total else []
    more = f"{len(classes) - MOST_CLASSES:,} more classes have fewer." if total and len(classes) > MOST_CLASSES else ""
    guard = part.get("guard") or {}
    sentence = str(guard.get("sentence") or "")
    return fill(
        TEMPLATE, "section", lead=f"{sentence[:1].upper()}{sentence[1:]}.", sentences=part.get("sentences") or [],
        rows=rows, more=more, epochs=_watched(part.get("epochs") or []),
        compared="scores" in guard,
    )  # fmt: skip


def _watched(epochs: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The first, middle and last epoch in which the network taught itself: number, share that was sure, right of it."""
    told = [e for e in epochs if "unlabelled_share" in e]
    chosen = [told[i] for i in sorted({0, len(told) // 2, len(told) - 1})] if told else []
    return [
        (number(e.get("epoch")), number(e["unlabelled_share"]), number(e.get("unlabelled_precision"))) for e in chosen
    ]
