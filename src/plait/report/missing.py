"""The section of the page on missing modalities: patterns in a table, and the curve of what is missing at random."""

from __future__ import annotations

from typing import Any

from plait.registry import counted
from plait.report import charts
from plait.report.languages import tr
from plait.report.template import fill
from plait.report.words import cut, metric_name, modality, number

TEMPLATE = "report/missing.html.jinja"
_MAX_OCCURRING = 12


def section(report: dict[str, Any]) -> str:
    """Patterns hidden on purpose, patterns as they occur, and the robustness curve."""
    missing = (report.get("evaluation") or {}).get("missing")
    if not missing:
        return ""
    metric = str(missing.get("metric") or (report.get("metric") or {}).get("name") or "")
    lines, curve = _lines(missing), _curve(missing, metric)
    if not lines and not curve:
        return ""
    rows, of = missing.get("rows"), missing.get("of")
    where = f"{number(rows)} judged rows" if rows == of else f"{number(rows)} of {number(of)} judged rows"
    chance = f"; guessing gets {number(missing['chance'])}" if missing.get("chance") is not None else ""
    lead = f"{metric_name(metric)} when modalities are hidden from the model, on {where}{chance}."
    sentence = str(missing.get("sentence") or "")
    occurring = missing.get("occurring") or []
    more = len(occurring) - _MAX_OCCURRING
    return fill(
        TEMPLATE, "section", lead=lead, metric=metric, lines=lines, curve=curve,
        sentence=sentence[:1].upper() + sentence[1:], notes=missing.get("notes"),
        occurring=occurring[:_MAX_OCCURRING] if len(occurring) > 1 else [], more=f"{more:,}" if more > 0 else "",
    )  # fmt: skip


def _lines(missing: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """What is there, a remark, and the metrics: one line a pattern, then one a count of what is missing."""
    lines = []
    for part in missing.get("hidden") or []:
        nothing = part.get("rows_with_nothing") or 0
        remark = f"({counted(nothing, 'row has', 'rows have')} nothing left)" if nothing else ""
        lines.append((cut(modality(tr(_name(part))), 60), remark, part.get("metrics")))
    for part in missing.get("counts") or []:
        kind, ways, of = str(part.get("kind")), part.get("subsets"), part.get("of_subsets")
        over = f"(mean of {number(ways)}{'' if ways == of else f' of {number(of)}'} ways)" if (of or 0) > 1 else ""
        what = f"{number(part.get('missing'))} of {number(part.get('among'))} {_several(kind)} missing"
        lines.append((what, over, part.get("metrics")))
    return lines


def _name(part: dict[str, Any]) -> str:
    present, gone = part.get("present") or [], part.get("missing") or []
    return f"all but {gone[0]}" if len(gone) == 1 and len(present) > 2 else " + ".join(present)


def _several(kind: str) -> str:
    return {"image": "images", "text": "texts", "modality": "modalities"}.get(kind, f"{kind} modalities")


def _curve(missing: dict[str, Any], metric: str) -> tuple[list[str], str, str] | None:
    """Names of the lines, the chart, and what runs across it."""
    curve = missing.get("curve") or {}
    levels, scores = curve.get("levels") or [], curve.get("scores") or []
    if len(levels) < 2 or not any(s is not None for s in scores):
        return None
    series = {"this model": scores}
    if curve.get("late"):
        series["late fusion"] = curve["late"]
    label = tr(f"{metric} as modalities go missing at random")
    chart = charts.curves(levels, series, best=None, label=label, whole=False)
    across = f"Across: probability that a modality is missing, {number(curve.get('draws'))} draws a level."
    return list(series), chart, across
