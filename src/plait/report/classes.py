"""The sections of the page that show each class by itself, and what cleaning did to the texts."""

from __future__ import annotations

from typing import Any

from plait.report.facts import html_table
from plait.report.words import cut, esc, estimate, number, span

_MOST_CLASSES = 100


def class_table(report: dict[str, Any]) -> str:
    """Precision, recall and F1 of every class, each with its interval."""
    rows = (report.get("evaluation") or {}).get("per_class") or []
    if not rows:
        return ""
    body = []
    for row in rows[:_MOST_CLASSES]:
        cells = [_with_span(row.get(name)) for name in ("precision", "recall", "f1")]
        label = esc(cut(str(row.get("label", "")), 80))
        body.append([label, number(row.get("support")), number(row.get("predicted")), *cells])
    head = ["Class", "Rows", "Predicted", "Precision", "Recall", "F1"]
    rule = (
        "Precision: how many of the rows given this class are of it. Recall: how many of its rows were found. F1: "
        "their harmonic mean. In brackets 95% intervals; a dash where there are no rows to measure on."
    )
    more = (
        f"<p><small>{len(rows) - _MOST_CLASSES:,} more in report.json</small></p>" if len(rows) > _MOST_CLASSES else ""
    )
    return f'<p class="lead">{rule}</p>{html_table(head, body, numbers={1, 2, 3, 4, 5})}{more}'


def cleaned(report: dict[str, Any]) -> str:
    """Some texts before and after cleaning."""
    parts = []
    for entry in (report.get("evaluation") or {}).get("cleaned") or []:
        name, how = esc(entry.get("modality", "")), esc(entry.get("cleaning", ""))
        parts.append(f'<p class="lead">{name}: "{how}" cleaning changed {number(entry.get("rows"))} judged rows.</p>')
        examples = entry.get("examples") or []
        if examples:
            body = [[number(e.get("row")), esc(e.get("before", "")), esc(e.get("after", ""))] for e in examples]
            parts.append(html_table(["Row", "Before", "After"], body, numbers={0}))
    return "".join(parts)


def _with_span(entry: Any) -> str:
    value, low, high = estimate(entry)
    return number(value) + (f" <small>({span(low, high)})</small>" if span(low, high) else "")
