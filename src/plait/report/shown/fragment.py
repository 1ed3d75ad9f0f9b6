"""A report as a piece of HTML for a notebook: the sentence, the large number, bars or a table. All texts are escaped.

It takes its colours from the page around it (``currentColor``, and tones that are read on white and on black), since
notebooks have themes of their own that no media query tells. Nothing is loaded and no script runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from plait.report.languages import tr
from plait.report.shown.view import Bar, ReportView, Row
from plait.report.words import cut, esc, number, span

COLOURS = {"share": "#3d8fc4", "together": "#3d8fc4", "alone": "#c77d3e", "without": "#8a8f98"}
TONES = {"error": "#d0523f", "warning": "#c58a1c"}
MOST_BARS, MOST_ROWS, WIDEST_NAME, WIDEST_CELL = 24, 40, 40, 300
FRAME = "max-width:760px;font-family:system-ui,sans-serif;font-size:14px;line-height:1.5;color:inherit"
SOFT = "opacity:.72"
TABLE = "border-collapse:collapse;color:inherit;font-size:inherit"
RULE = "border-top:1px solid rgba(128,128,128,.35)"


def fragment(view: ReportView, report: Row, title: str) -> str:
    """The HTML of a report.

    Args:
        view: How its kind is shown.
        report: The plain report.
        title: What stands above it.
    """
    parts = [f'<div style="font-weight:650">{esc(title)}</div>']
    large = view.number(report)
    if large is not None:
        interval = span(large.low, large.high)
        said = f' <span style="{SOFT}">{esc(tr(f"95% interval {interval}"))}</span>' if interval else ""
        parts.append(f'<div>{esc(large.name)} <b style="font-size:1.5em">{esc(number(large.value))}</b>{said}</div>')
    if sentence := view.sentence(report):
        parts.append(f'<div style="margin:4px 0 8px">{esc(tr(sentence))}</div>')
    groups = view.bars(report)
    parts += [_bars(name, bars) for name, bars in groups]
    if not groups:
        parts.append(_table(view.told(report)))
    return f'<div class="plait" style="{FRAME}">{"".join(parts)}</div>'


def _bars(title: str, bars: Sequence[Bar]) -> str:
    """Bars of one scale from zero, each with its number; a value below zero goes to the left."""
    low, high = min(0.0, *(b.value for b in bars)), max(0.0, *(b.value for b in bars))
    width = (high - low) or 1.0
    lines = []
    for bar in bars[:MOST_BARS]:
        left, right = sorted((bar.value, 0.0))
        place = f"left:{100 * (left - low) / width:.2f}%;width:{max(0.4, 100 * (right - left) / width):.2f}%"
        colour = COLOURS.get(bar.part, COLOURS["share"])
        interval = span(bar.low, bar.high)
        shown = f'{esc(number(bar.value))} <span style="{SOFT}">{esc(interval)}</span>'
        lines.append(
            f'<tr style="background:none"><td style="width:26%;text-align:right;padding:1px 10px 1px 0;border:0">'
            f"{esc(cut(bar.name, WIDEST_NAME))}</td>"
            '<td style="width:44%;padding:1px 0;border:0"><div style="position:relative;height:12px;'
            f'background:rgba(128,128,128,.18);border-radius:3px"><div style="position:absolute;top:0;height:12px;'
            f'border-radius:3px;background:{colour};{place}"></div></div></td>'
            f'<td style="text-align:left;padding:1px 0 1px 10px;border:0;white-space:nowrap">{shown}</td></tr>'
        )
    head = f'<div style="margin-top:8px;{SOFT}">{esc(title)}</div>'
    more = f'<div style="{SOFT}">\u2026 {len(bars) - MOST_BARS}</div>' if len(bars) > MOST_BARS else ""
    return f'{head}<table style="{TABLE};width:100%">{"".join(lines)}</table>{more}'


def _table(rows: Sequence[Row]) -> str:
    """Rows as a table; the first ones of many."""
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "rows"))
    cell = f'style="text-align:left;vertical-align:top;padding:2px 10px 2px 0;border:0;{RULE}"'
    head = "".join(f"<th {cell}>{esc(name)}</th>" for name in names)
    lines = [
        '<tr style="background:none">'
        + "".join(f"<td {cell}>{_cell(name, row.get(name))}</td>" for name in names)
        + "</tr>"
        for row in rows[:MOST_ROWS]
    ]
    more = f'<div style="{SOFT}">\u2026 {len(rows) - MOST_ROWS}</div>' if len(rows) > MOST_ROWS else ""
    return f'<table style="{TABLE}"><tr style="background:none">{head}</tr>{"".join(lines)}</table>{more}'


def _cell(name: str, value: object) -> str:
    text = esc(cut(number(value), WIDEST_CELL))
    tone = TONES.get(str(value)) if name == "severity" else None
    return f'<b style="color:{tone}">{text}</b>' if tone else text
