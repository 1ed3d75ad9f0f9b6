"""The section of the page on trust: reliability, sets and intervals, and what abstaining gains."""

from __future__ import annotations

from typing import Any

from plait.report import trust_charts
from plait.report.languages import tr
from plait.report.template import fill
from plait.report.words import estimate, metric_name, modality, number, span, with_span

TEMPLATE = "report/trust.html.jinja"


def section(report: dict[str, Any]) -> str:
    """Calibration, conformal prediction and selective prediction, where they were measured."""
    trust = (report.get("evaluation") or {}).get("trust") or {}
    parts = []
    for name, make in (("calibration", _calibration), ("conformal", _conformal), ("selective", _selective)):
        if part := trust.get(name):
            title = _title(name, part)
            parts.append(
                {"title": title, **make(part)} if part.get("applicable")
                else {"title": title, "text": f"Not applicable: {part.get('why')}."}
            )  # fmt: skip
    return fill(TEMPLATE, "section", made=parts) if parts else ""


def _title(name: str, part: dict[str, Any]) -> str:
    if name == "conformal":
        return "Intervals that hold the truth" if part.get("kind") == "number" else "Sets that hold the truth"
    return "When to abstain" if name == "selective" else "Calibration: does 80 % sure mean right in 8 of 10?"


def _calibration(part: dict[str, Any]) -> dict[str, Any]:
    """Errors before and after, and the reliability diagram."""
    rows = []
    before = part.get("before") or {}
    for name, entry in (part.get("metrics") or {}).items():
        value, low, high = estimate(entry)
        old = estimate(before.get(name))[0] if before else None
        rows.append((metric_name(name), number(value), span(low, high), "" if old is None else number(old)))
    perfect = part.get("perfect") or {}
    text = (
        f"A perfectly calibrated model would show an ECE of {number(perfect.get('mean'))} on so many rows, and less "
        f"than {number(perfect.get('high'))} in 95 of 100 cases; none is ever 0."
    )
    chart = trust_charts.reliability(part.get("bins") or [], part.get("bins_before") or [])
    head = ["Error", "Value", "95% interval"] + (["Before"] if before else [])
    return {
        "text": f"{_sentence(part.get('why'))} {text}".strip(), "head": head,
        "rows": [row[: len(head)] for row in rows], "numbers": [1, 2, 3][: len(head) - 1], "chart": chart,
        "key": "Dots: share of right answers among those of this confidence, whiskers 95 %; on the dashed line both "
        "agree" + ("; rings: before calibration." if before else "."),
    }  # fmt: skip


def _conformal(part: dict[str, Any]) -> dict[str, Any]:
    """Coverage and size of sets or intervals, by pattern too, and what the promise rests on."""
    size = "Mean width" if part.get("kind") == "number" else "Mean size"
    rows = []
    for level in part.get("levels") or []:
        for entry, name in [(level, "all rows"), *((p, p["present"]) for p in level.get("patterns") or [])]:
            value, low, high = estimate(entry.get("covered"))
            covered = with_span(value, low, high)
            there, counts = modality(tr(name, "rows")), (number(entry["rows"]), covered, number(entry.get("size")))
            rows.append((number(level["coverage"]), level["method"], there, *counts))
    few = [p for p in part.get("patterns") or [] if not p.get("is_own")]
    told = [
        f"{number(part.get('rows'))} calibration rows, {number(part.get('scoring_rows'))} of which score sets.",
        *(
            f"Only {number(p['rows'])} with {' + '.join(p['present']) or 'nothing'}: {number(p['pooled'])} pooled rows "
            "speak for them."
            for p in few
        ),
        str(part.get("note") or "") and f"{part['note']}.", str(part.get("rests_on") or ""),
    ]  # fmt: skip
    return {
        "text": " ".join(filter(None, told)), "rows": rows, "numbers": [0, 3, 4, 5],
        "head": ["Promised", "How", "Rows with", "Rows", "Covered", size],
    }  # fmt: skip


def _selective(part: dict[str, Any]) -> dict[str, Any]:
    """The risk-coverage curve."""
    value, low, high = estimate(part.get("aurc"))
    curve = part.get("curve") or {}
    text = (
        f"The {part.get('risk')} is {number(part.get('everything'))} where every row is answered. Area under the curve "
        f"{with_span(value, low, high)}, {number(part.get('excess_aurc'))} above that of an order that knew all."
    )
    rows = [
        (number(p["coverage"]), number(p["risk"]), number(p["estimated"])) for p in part.get("at_coverage") or []
    ]  # fmt: skip
    return {
        "text": text, "head": ["Share answered", f"Their {part.get('risk')}", "Abstain above a risk of"],
        "rows": rows, "numbers": [0, 1, 2],
        "chart": trust_charts.risk_coverage(
            curve.get("coverage") or [], curve.get("risk") or [], str(part.get("risk"))
        ),
        "key": "Across: share of the rows that are answered, the surest first.",
    }  # fmt: skip


def _sentence(text: Any) -> str:
    text = str(text or "")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
