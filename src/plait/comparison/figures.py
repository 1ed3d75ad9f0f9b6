"""The pictures of a comparison as hand-written SVG: a forest plot, quality against cost, and the matrix of pairs.

Plain numbers of the report come in, a string of SVG goes out. Text stays text, colours are variables of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from plait.report.charts import ticks
from plait.report.languages import tr
from plait.report.words import bracketed, columns, cut, esc, flat, number

Box = tuple[float, float, float, float]
_LETTER = 6.9  # width of a letter of the page's font at 12.5 px, on the safe side


def forest(lines: Sequence[dict[str, Any]], references: Sequence[tuple[str, float]], *, label: str) -> str:
    """A dot and its interval per line, seeds as small ticks, references as upright dashed lines."""
    values = [x for m in lines for x in (m["metric"]["value"], m["metric"]["low"], m["metric"]["high"])]
    values += [v for m in lines for v in m["metric"]["seeds"]] + [v for _, v in references]
    low, high = _room([v for v in values if v is not None])
    wide, left, right, step = 980, 186, 276, 30
    top = 10 + 17 * len(references) + 14
    tall = top + step * len(lines) + 26

    def x_of(value: float) -> float:
        return left + (value - low) / (high - low) * (wide - left - right)

    parts = []
    for t in ticks(low, high, 6):
        parts.append(
            f'<line class="grid" x1="{x_of(t):.1f}" x2="{x_of(t):.1f}" y1="{top - 4}" y2="{tall - 22}"/>'
            f'<text class="faint" x="{x_of(t):.1f}" y="{tall - 6}" text-anchor="middle">{_tick(t)}</text>'
        )
    parts.append(
        f'<text class="faint" x="{wide - right + 14}" y="{top - 6}">{esc(label)}</text>'
        f'<text class="faint" x="{wide - 2}" y="{top - 6}" text-anchor="end">{tr("place")}</text>'
    )
    for i, (name, value) in enumerate(references):
        x, y = x_of(value), 12.0 + 17 * i
        anchor, shift = ("end", -6.0) if x > left + (wide - left - right) * 0.6 else ("start", 6.0)
        parts.append(
            f'<line class="ref r{i}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{tall - 22}"/>'
            f'<text class="refname t{i}" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">'
            f"{esc(cut(name, 64))} {number(value)}</text>"
        )
    for i, m in enumerate(lines):
        score, y = m["metric"], top + step * i + step / 2
        name = f'<text class="name {m["kind"]}" x="{left - 12}" y="{y + 4.5:.1f}" text-anchor="end">'
        parts.append(f"{name}{esc(cut(m['name'], 26))}<title>{esc(m['name'])}</title></text>")
        if score["low"] is not None and score["high"] is not None:
            a, b = x_of(score["low"]), x_of(score["high"])
            parts.append(f'<line class="span {m["kind"]}" x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}"/>')
        for v in score["seeds"]:
            if v is not None:
                x = x_of(v)
                parts.append(f'<line class="seed" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 7}" y2="{y - 3.5}"/>')
        css = f"mark {m['kind']}" + (" selected" if m.get("selected") else "")
        parts.append(f'<circle class="{css}" cx="{x_of(score["value"]):.1f}" cy="{y}" r="5.5"/>')
        spread = (
            ""
            if score["low"] is None
            else bracketed(*(number(flat(score[end], score["low"], score["high"])) for end in ("low", "high")))
        )
        rank = m["rank"]
        places = "" if rank["low"] is None else f" ({round(rank['low'], 1):g}\u2013{round(rank['high'], 1):g})"
        parts.append(
            f'<text class="value" x="{wide - right + 14}" y="{y + 4.5:.1f}">{number(score["value"])}'
            f'<tspan class="faint">{spread}</tspan></text>'
            f'<text class="value" x="{wide - 2}" y="{y + 4.5:.1f}" text-anchor="end">'
            f'{rank["value"]:g}<tspan class="faint">{places}</tspan></text>'
        )
    return _svg("forest", label, wide, tall, parts)


def pareto(lines: Sequence[dict[str, Any]], cost: Callable[[dict[str, Any]], float], *, higher: bool) -> list[str]:
    """Names of the lines that no other line beats in one respect without losing in the other."""

    def score(m: dict[str, Any]) -> float:
        value = float(m["metric"]["value"])
        return value if higher else -value

    return [
        m["name"]
        for m in lines
        if not any(
            score(o) >= score(m) and cost(o) <= cost(m) and (score(o) > score(m) or cost(o) < cost(m)) for o in lines
        )
    ]


def trade(
    lines: Sequence[dict[str, Any]],
    cost: Callable[[dict[str, Any]], float],
    references: Sequence[tuple[str, float]],
    *,
    axis: str,
    higher: bool,
    label: str,
) -> str:
    """Metric up, cost to the right on a logarithmic scale; the Pareto front joined by steps, names beside dots."""
    shown = [m for m in lines if cost(m) > 0]
    costs = [math.log10(cost(m)) for m in shown]
    first, last = min(costs), max(costs)
    pad = (last - first) * 0.1 or 0.3
    first, last = first - pad, last + pad
    low, high = _room([m["metric"]["value"] for m in shown] + [v for _, v in references])
    wide, tall, left, right, top, bottom = 560, 380, 56, 16, 18, 46

    def at(m: dict[str, Any]) -> tuple[float, float]:
        return x_of(cost(m)), y_of(m["metric"]["value"])

    def x_of(value: float) -> float:
        return left + (math.log10(value) - first) / (last - first) * (wide - left - right)

    def y_of(value: float) -> float:
        return top + (tall - top - bottom) * (1 - (value - low) / (high - low))

    parts = []
    for t in ticks(low, high):
        y = y_of(t)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{wide - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="faint" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(t)}</text>'
        )
    for t in log_ticks(10**first, 10**last):
        x = x_of(t)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{tall - bottom}"/>'
            f'<text class="faint" x="{x:.1f}" y="{tall - bottom + 17}" text-anchor="middle">{_short(t)}</text>'
        )
    for i, (_, value) in enumerate(references):
        y = y_of(value)
        parts.append(f'<line class="ref r{i}" x1="{left}" x2="{wide - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
    front = set(pareto(shown, cost, higher=higher))
    edge = sorted((at(m) for m in shown if m["name"] in front), key=lambda p: p[0])
    steps = [f"{edge[0][0]:.1f},{edge[0][1]:.1f}"] if edge else []
    for (_, y0), (x1, y1) in zip(edge, edge[1:], strict=False):
        steps += [f"{x1:.1f},{y0:.1f}", f"{x1:.1f},{y1:.1f}"]
    if len(edge) > 1:
        parts.append(f'<polyline class="front" points="{" ".join(steps)}"/>')
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in map(at, shown)]
    taken += [(left, y_of(value) - 1, wide - right, y_of(value) + 1) for _, value in references]
    for m in sorted(shown, key=lambda m: m["name"] not in front):
        x, y = at(m)
        css = f"mark {m['kind']}" + (" selected" if m.get("selected") else "")
        halo = f'<circle class="halo" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' if m["name"] in front else ""
        tip = f"<title>{esc(m['name'])}: {number(m['metric']['value'])}, {_short(cost(m))} {esc(axis)}</title>"
        parts.append(f'{halo}<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="5.5">{tip}</circle>')
        name = cut(m["name"], 24)
        spot = _place(x, y, _LETTER * columns(name), taken, (left, 4, wide - 2, tall - bottom))
        if spot is not None:
            text_x, text_y, anchor = spot
            css = " front" if m["name"] in front else ""
            parts.append(
                f'<text class="label{css}" x="{text_x:.1f}" y="{text_y:.1f}" text-anchor="{anchor}">{esc(name)}</text>'
            )
    parts.append(f'<text class="faint" x="{wide - right}" y="{tall - 6}" text-anchor="end">{esc(axis)} \u2192</text>')
    return _svg("trade", label, wide, tall, parts)


def pairs(names: Sequence[str], differences: Sequence[dict[str, Any]], *, higher: bool, label: str) -> str:
    """Row minus column; filled where it holds for all pairs at once, outlined where only its own interval does."""
    gaps: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
    for d in differences:
        if d["difference"] is not None:
            gaps[d["a"], d["b"]] = (d["difference"], d)
            gaps[d["b"], d["a"]] = (-d["difference"], d)
    n = len(names)
    cell = 58 if n <= 8 else 48 if n <= 14 else 39
    shown = [cut(name, 26) for name in names]
    side = 16 + 6.7 * max(columns(s) for s in shown)
    head = 16 + 5.3 * max(columns(s) for s in shown)
    largest = max((abs(g) for g, _ in gaps.values()), default=0.0) or 1.0
    ends = [side + cell * i + cell / 2 + 5.6 * columns(name) for i, name in enumerate(shown)]
    wide, tall = max(*ends, side + cell * n) + 10, head + cell * n + 6
    parts = []
    for i, name in enumerate(shown):
        middle = cell * i + cell / 2
        x, y = side + middle, head - 9
        parts.append(
            f'<text class="name" x="{side - 9:.0f}" y="{head + middle + 4:.0f}" text-anchor="end">{esc(name)}</text>'
            f'<text class="name" x="{x:.0f}" y="{y:.0f}" transform="rotate(-42 {x:.0f} {y:.0f})">{esc(name)}</text>'
        )
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            x, y = side + cell * j, head + cell * i
            box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{cell - 2}" height="{cell - 2}" rx="4"'
            if i == j or (a, b) not in gaps:
                parts.append(f'<rect class="{"self" if i == j else "cell"}" {box}/>')
                continue
            gap, d = gaps[a, b]
            good = (gap > 0) == higher
            sign = 1.0 if (d["a"], d["b"]) == (a, b) else -1.0
            ends = sorted(sign * v for v in (d["low"], d["high"]) if v is not None)
            spread = f" (95% {number(ends[0])} to {number(ends[1])})" if len(ends) == 2 else ""
            proof = "holds for all pairs at once" if d["holds"] else "by itself only" if d["real"] else "not told apart"
            tip = f"<title>{esc(tr(f'{a} minus {b}: {number(gap)}{spread}; {proof}'))}</title>"
            css, text_css = "cell", "faint"
            fill = ""
            if d["holds"]:
                strength = 0.45 + 0.55 * abs(gap) / largest
                css, text_css = ("better" if good else "worse"), "on" if strength > 0.62 else "mid"
                fill = f' fill-opacity="{strength:.2f}"'
            elif d["real"]:
                css, text_css = "maybe " + ("up" if good else "down"), "name"
            parts.append(
                f'<rect class="{css}" {box}{fill}>{tip}</rect>'
                f'<text class="count {text_css}" x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}"'
                f' text-anchor="middle">{_gap(gap)}</text>'
            )
    return _svg("pairs many" if n > 14 else "pairs", label, round(wide), round(tall), parts, fixed=True)


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within the range; fewer where the range is wide."""
    spans = math.log10(high / low)
    steps = (1.0,) if spans > 2.5 else (1.0, 3.0) if spans > 1.4 else (1.0, 2.0, 5.0)
    found = [s * 10.0**p for p in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for s in steps]
    return [t for t in found if low <= t <= high]


def _place(x: float, y: float, width: float, taken: list[Box], frame: Box) -> tuple[float, float, str] | None:
    """Where a name fits beside its dot without touching dots, names or the frame; None: nowhere (the tip has it)."""
    for distance in (0.0, 8.0, 14.0, 20.0, 28.0):
        for anchor, text_x, text_y in (
            ("start", x + 11, y + 4 - distance),
            ("end", x - 11, y + 4 - distance),
            ("start", x + 11, y + 4 + distance),
            ("end", x - 11, y + 4 + distance),
            ("middle", x, y - 11 - distance),
            ("middle", x, y + 20 + distance),
        ):
            start = text_x if anchor == "start" else text_x - width if anchor == "end" else text_x - width / 2
            box = (start - 1, text_y - 11, start + width + 1, text_y + 3)
            inside = box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
            if inside and not any(_touch(box, other) for other in taken):
                taken.append(box)
                return text_x, text_y, anchor
    return None


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or max(abs(high) * 0.1, 0.05)
    return low - pad, high + pad


def _tick(value: float) -> str:
    return f"{value:.4g}".replace("-", "\u2212")


def _gap(value: float) -> str:
    text = f"{abs(value):.3f}" if abs(value) < 1 else f"{abs(value):.2f}"
    text = text.removeprefix("0") if abs(value) < 1 else text
    return "0" if float(text) == 0 else ("+" if value > 0 else "\u2212") + text


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _svg(css: str, label: str, wide: int, tall: int, parts: Sequence[str], *, fixed: bool = False) -> str:
    size = f'width="{wide}" height="{tall}" ' if fixed else ""
    return (
        f'<svg class="{css}" role="img" aria-label="{esc(label)}" {size}viewBox="0 0 {wide} {tall}">'
        f"{''.join(parts)}</svg>"
    )
