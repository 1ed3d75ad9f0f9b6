"""Charts of trust: the reliability diagram and the risk-coverage curve, as the SVG of :mod:`plait.report.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.report import charts
from plait.report.languages import tr
from plait.report.words import esc, number, svg


def reliability(bins: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]] = ()) -> str:
    """Confidence across, share of right answers up, whiskers of 95 %, with the line on which both agree."""
    if not bins:
        return ""
    side, left, bottom, top = 400, 50, 42, 12

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * (side - left - 10), side - bottom - y * (side - bottom - top)

    parts = []
    for t in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(t, t)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{side - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="faint" x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{number(t)}</text>'
            f'<text class="faint" x="{x:.1f}" y="{side - bottom + 16}" text-anchor="middle">{number(t)}</text>'
        )
    (x1, y1), (x2, y2) = at(0.0, 0.0), at(1.0, 1.0)
    parts.append(f'<line class="chosen" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    for one in before:
        x, y = at(one["confidence"], one["right"])
        parts.append(f'<circle class="line s1" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    for one in bins:
        x, y = at(one["confidence"], one["right"])
        low, high = at(0.0, one["low"])[1], at(0.0, one["high"])[1]
        tip = f"{one['rows']:,} rows, confidence {number(one['confidence'])}, right {number(one['right'])}"
        parts.append(
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{high:.1f}" y2="{low:.1f}"/>'
            f'<circle class="dot s0" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{esc(tr(tip))}</title></circle>'
        )
    parts.append(
        f'<text class="faint" x="{side - 10}" y="{side - 6}" text-anchor="end">{tr("confidence")} \u2192</text>'
    )
    parts.append(f'<text class="faint" x="{left + 6}" y="{top + 8}">\u2191 {tr("right")}</text>')
    return svg("plot square", tr("share of right answers by confidence"), f'viewBox="0 0 {side} {side}"', parts)


def risk_coverage(coverage: Sequence[float], risk: Sequence[float], name: str) -> str:
    """The risk of the answered rows as more are answered."""
    if len(coverage) < 2:
        return ""
    return charts.curves(coverage, {tr(name): risk}, best=None, label=tr(f"{name} by share answered"), whole=False)
