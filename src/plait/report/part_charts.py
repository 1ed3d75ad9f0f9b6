"""Charts of parts of inputs: a heat map over a photo, spans on a waveform, curves of deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from plait.report.languages import tr
from plait.report.words import esc, svg

Tip = Callable[[dict[str, Any]], str]
DEEPEST = 0.62


def _css(value: float, is_lead: bool) -> str:
    return f"{'up' if value >= 0 else 'down'}{' lead' if is_lead else ''}"


def heat(parts: Sequence[dict[str, Any]], largest: float, leads: Collection[int], tip: Tip, label: str) -> str:
    """Boxes in 0 to 1 over a photo, the deeper the more a region adds; the strongest are framed."""
    boxes = []
    for p in sorted(range(len(parts)), key=lambda p: p in leads):  # frames lie on top
        left, top, right, bottom = (1000 * v for v in parts[p]["box"])
        value = parts[p]["value"]
        boxes.append(
            f'<rect class="{_css(value, p in leads)}" x="{left:.0f}" y="{top:.0f}" width="{right - left:.0f}" '
            f'height="{bottom - top:.0f}" fill-opacity="{DEEPEST * abs(value) / largest:.2f}">'
            f"<title>{esc(tr(tip(parts[p])))}</title></rect>"
        )
    return svg("over", label, 'viewBox="0 0 1000 1000" preserveAspectRatio="none"', boxes)


def wave(
    parts: Sequence[dict[str, Any]], loudness: Sequence[float], seconds: float, largest: float,
    leads: Collection[int], tip: Tip, label: str,
) -> str:  # fmt: skip
    """Loudness over time, with each span coloured by what it adds."""
    height, drawn = 90, []
    for p, part in enumerate(parts):
        left, width = (1000 * v / max(seconds, 1e-9) for v in (part["from"], part["to"] - part["from"]))
        drawn.append(
            f'<rect class="{_css(part["value"], p in leads)}" x="{left:.1f}" y="0" width="{width:.1f}" '
            f'height="{height}" fill-opacity="{DEEPEST * abs(part["value"]) / largest:.2f}">'
            f"<title>{esc(tr(tip(part)))}</title></rect>"
        )
    step = 1000 / max(1, len(loudness))
    for i, level in enumerate(loudness):
        tall = max(1.0, (height - 10) * level)
        drawn.append(
            f'<rect class="level" x="{step * i:.1f}" y="{(height - tall) / 2:.1f}" width="{0.7 * step:.1f}" '
            f'height="{tall:.1f}"/>'
        )
    return svg(
        "wave", label, f'viewBox="0 0 1000 {height}" preserveAspectRatio="none" width="100%" height="{height}"', drawn
    )


def curves(checks: dict[str, Any]) -> str:
    """Deletion, insertion and the mean random order, as one small chart; nothing with fewer than three points."""
    found = checks["curves"]
    steps = found["steps"]
    if len(steps) < 3:
        return ""
    lines = [found["deletion"]["curve"], found["insertion"]["curve"], found["random_curve"]]
    low, high = min(map(min, lines)), max(map(max, lines))
    if high <= low:
        return ""
    drawn = []
    for k, (name, values) in enumerate(zip(("deletion", "insertion", "random order, hidden"), lines, strict=True)):
        points = " ".join(
            f"{10 + 280 * s / steps[-1]:.1f},{8 + 84 * (high - v) / (high - low):.1f}"
            for s, v in zip(steps, values, strict=True)
        )
        drawn.append(f'<polyline class="line s{k}" points="{points}"><title>{tr(name)}</title></polyline>')
    keys = "".join(
        f'<span class="key"><i class="k{k}"></i>{tr(name)}</span>'
        for k, name in enumerate(("hidden, strongest first", "shown, strongest first", "hidden at random"))
    )
    chart = svg("plot", tr("score as parts are hidden or shown"), 'viewBox="0 0 300 100"', drawn)
    return f"<figure><figcaption>{keys}</figcaption>{chart}</figure>"
