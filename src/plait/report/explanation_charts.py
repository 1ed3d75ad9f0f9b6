"""Charts of an explanation: the way from nothing to everything, the matrix of pairs, and the bars of single rows.

Plain numbers come in, a string of SVG goes out; every colour is a variable of the page, so both themes work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plait.report.languages import tr
from plait.report.words import columns, cut, esc, svg

Step = tuple[str, float, float | None, float | None]
Say = Callable[[float], str]


def waterfall(start: float, steps: Sequence[Step], end: float, *, level: Say, change: Say, label: str) -> str:
    """From the value of nothing, over what each modality adds, to the value of everything.

    Args:
        start: Value with nothing.
        steps: Name, contribution, low and high, in the order to draw; they add up to ``end - start``.
        end: Value with everything.
        level: How a value is written.
        change: How a contribution is written.
        label: What the chart shows, for those who do not see it.
    """
    places, at_now = [start, end], start
    for _, value, low, high in steps:
        places += [at_now + value] + [at_now + x for x in (low, high) if x is not None]
        at_now += value
    least, most = min(places), max(places)
    pad = (most - least) * 0.04 or 0.05
    least, most = least - pad, most + pad

    def x(value: float) -> float:
        return 1.0 + 97.0 * (value - least) / (most - least)

    step, top = 50, 4
    parts = [_level(x(start), top, tr("with nothing"), level(start))]
    now = start
    for i, (name, value, low, high) in enumerate(steps):
        y = top + step * (i + 1)
        a, b = sorted((x(now), x(now + value)))
        interval = "" if low is None or high is None else f" [{change(low)}, {change(high)}]"
        css = "up" if value >= 0 else "down"
        parts.append(
            f'<line class="link" x1="{x(now):.2f}%" x2="{x(now):.2f}%" y1="{y - 17}" y2="{y + 33}"/>'
            f'<text class="name" x="1%" y="{y + 12}">{esc(cut(name, 40))}</text>'
            f'<text class="value" x="98%" y="{y + 12}" text-anchor="end">{change(value)}'
            f'<tspan class="faint">{interval}</tspan></text>'
            f'<rect class="track" x="1%" y="{y + 19}" width="97%" height="14" rx="3"/>'
            f'<rect class="step {css}" x="{a:.2f}%" y="{y + 19}" width="{max(b - a, 0.25):.2f}%" height="14" rx="3"/>'
        )
        if low is not None and high is not None:
            left, right, mid = x(now + low), x(now + high), y + 26
            parts.append(
                f'<line class="whisker" x1="{left:.2f}%" x2="{right:.2f}%" y1="{mid}" y2="{mid}"/>'
                f'<line class="whisker" x1="{left:.2f}%" x2="{left:.2f}%" y1="{mid - 5}" y2="{mid + 5}"/>'
                f'<line class="whisker" x1="{right:.2f}%" x2="{right:.2f}%" y1="{mid - 5}" y2="{mid + 5}"/>'
            )
        now += value
    last = top + step * (len(steps) + 1)
    parts.append(f'<line class="link" x1="{x(end):.2f}%" x2="{x(end):.2f}%" y1="{last - 17}" y2="{last + 19}"/>')
    parts.append(_level(x(end), last, tr("with everything"), level(end)))
    return svg("bars waterfall", label, f'width="100%" height="{last + 40}"', parts)


def _level(x: float, y: int, name: str, value: str) -> str:
    return (
        f'<text class="name strong" x="1%" y="{y + 12}">{esc(name)}</text>'
        f'<text class="value" x="98%" y="{y + 12}" text-anchor="end">{value}</text>'
        f'<rect class="track" x="1%" y="{y + 19}" width="97%" height="14" rx="3"/>'
        f'<circle class="stop" cx="{x:.2f}%" cy="{y + 26}" r="7"/>'
    )


def pair_matrix(
    names: Sequence[str],
    own: Sequence[float],
    pairs: Sequence[Sequence[float]],
    clear: Sequence[Sequence[bool]],
    *,
    change: Say,
    label: str,
) -> str:
    """Contribution of each modality on the diagonal, interaction of each pair beside it.

    Args:
        names: Modalities.
        own: Contribution of each.
        pairs: Interaction of each pair ``[M][M]``.
        clear: Whether it can be found from zero ``[M][M]``; the others are drawn pale.
        change: How a number is written.
        label: What the chart shows.
    """
    n = len(names)
    cell_w, cell_h = (118, 62) if n <= 4 else (92, 52)
    shown = [cut(str(name), 16) for name in names]
    side, head = 26 + 8 * max(columns(name) for name in shown), 26
    largest = max((abs(pairs[a][b]) for a in range(n) for b in range(n) if a != b), default=0.0)
    parts = []
    for a, name in enumerate(shown):
        parts.append(
            f'<text class="name" x="{side - 10}" y="{head + cell_h * a + cell_h / 2 + 4:.0f}" text-anchor="end">'
            f"{esc(name)}</text>"
            f'<text class="name" x="{side + cell_w * a + cell_w / 2:.0f}" y="{head - 9}" text-anchor="middle">'
            f"{esc(name)}</text>"
        )
    for a in range(n):
        for b in range(n):
            value = own[a] if a == b else pairs[a][b]
            x, y = side + cell_w * b, head + cell_h * a
            strength = 0.0 if a == b or largest == 0 else abs(value) / largest * (1.0 if clear[a][b] else 0.25)
            css = "own" if a == b else "need" if value >= 0 else "overlap"
            text = "off" if strength < 0.6 else "on"
            tip = tr(f"{names[a]} by itself" if a == b else f"{names[a]} and {names[b]}", "pair")
            parts.append(
                f'<rect class="cell" x="{x + 2}" y="{y + 2}" width="{cell_w - 4}" height="{cell_h - 4}" rx="6"/>'
                f'<rect class="{css}" x="{x + 2}" y="{y + 2}" width="{cell_w - 4}" height="{cell_h - 4}" rx="6"'
                f' fill-opacity="{0 if a == b else 0.06 + 0.94 * strength:.2f}">'
                f"<title>{esc(tip)}{tr(': ', 'stop')}{change(value)}</title></rect>"
                f'<text class="count {text}" x="{x + cell_w / 2:.0f}" y="{y + cell_h / 2 + (0 if a == b else 5):.0f}"'
                f' text-anchor="middle">{change(value)}</text>'
            )
            if a == b:
                parts.append(
                    f'<text class="faint tiny" x="{x + cell_w / 2:.0f}" y="{y + cell_h / 2 + 16:.0f}"'
                    ' text-anchor="middle">Shapley</text>'
                )
    wide, tall = side + cell_w * n + 4, head + cell_h * n + 4
    return svg("matrix", label, f'width="{wide}" height="{tall}" viewBox="0 0 {wide} {tall}"', parts)


def row_bars(
    values: Sequence[tuple[str, float | None]], *, change: Say, largest: float, label: str, width: int = 22
) -> str:
    """What moves the answer to one row: bars to the right for, to the left against; None where it is missing."""
    step, parts = 30, []
    largest = largest or 1.0
    for i, (name, value) in enumerate(values):
        y = step * i
        parts.append(f'<text class="name" x="0" y="{y + 12}">{esc(cut(name, width))}</text>')
        parts.append(f'<rect class="track" x="0" y="{y + 17}" width="100%" height="7" rx="3"/>')
        if value is None:
            parts.append(f'<text class="faint" x="100%" y="{y + 12}" text-anchor="end">{tr("missing")}</text>')
            continue
        long = 50.0 * min(1.0, abs(value) / largest)
        left = 50.0 if value >= 0 else 50.0 - long
        css = "up" if value >= 0 else "down"
        parts.append(
            f'<text class="value" x="100%" y="{y + 12}" text-anchor="end">{change(value)}</text>'
            f'<rect class="step {css}" x="{left:.2f}%" y="{y + 17}" width="{long:.2f}%" height="7" rx="3"/>'
        )
    height = step * len(values)
    parts.append(f'<line class="zero" x1="50%" x2="50%" y1="0" y2="{height}" stroke-opacity=".35"/>')
    return svg("bars rowbars", label, f'width="100%" height="{height}"', parts)
