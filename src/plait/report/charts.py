"""Charts as hand-written SVG: text stays text and every colour is a variable of the page, so both themes
work.

Plain numbers come in, a string of SVG goes out. Bars are laid out in percent and follow the width of the
page; curves and the matrix have a fixed drawing size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from plait.report.languages import tr
from plait.report.words import bracketed, columns, cut, esc, flat, number, svg

Bar = tuple[str, float, float | None, float | None, str]


def bars(rows: Sequence[Bar], *, chance: float | None = None, label: str, say: Callable[[float], str] = number) -> str:
    """Horizontal bars with whiskers: (name, value, low, high, css class) from top to bottom; ``say`` writes a value."""
    numbers = [x for _, *three, _ in rows for x in three if x is not None] + ([chance] if chance is not None else [])
    low, high = min(0.0, *numbers), max(0.0, *numbers)
    if low >= 0 and 0.3 < high <= 1.0:
        high = 1.0
    elif high <= 0:
        high = 0.0
    room = (high - low) or 1.0
    left, width = 1.0, 97.0

    def at(x: float) -> float:
        return left + (x - low) / room * width

    step, top = 46, 6
    height = top + step * len(rows) + (26 if chance is not None else 4)
    parts = []
    if chance is not None:
        x = at(chance)
        anchor = "end" if x > 80 else "start" if x < 15 else "middle"
        parts.append(
            f'<line class="chance" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top}" y2="{height - 20}"/>'
            f'<text class="faint" x="{x:.2f}%" y="{height - 5}" text-anchor="{anchor}">'
            f"{esc(tr(f'guessing {say(chance)}'))}</text>"
        )
    for i, (name, value, value_low, value_high, css) in enumerate(rows):
        y = top + i * step
        start, end = sorted((at(0.0), at(value)))
        told, interval = say(flat(value, value_low, value_high)), ""
        if value_low is not None and value_high is not None:
            ends = [say(flat(end, value_low, value_high)) for end in (value_low, value_high)]
            interval = bracketed(*ends)
        parts.append(
            f'<text class="name" x="{left}%" y="{y + 13}">{esc(cut(name, 40))}</text>'
            f'<text class="value" x="98%" y="{y + 13}" text-anchor="end">{told}'
            f'<tspan class="faint">{interval}</tspan></text>'
            f'<rect class="track" x="{left}%" y="{y + 20}" width="{width}%" height="13" rx="3"/>'
            f'<rect class="bar {esc(css)}" x="{start:.2f}%" y="{y + 20}" width="{end - start:.2f}%"'
            ' height="13" rx="3"/>'
        )
        if value_low is not None and value_high is not None:
            a, b, mid = at(value_low), at(value_high), y + 26.5
            parts.append(
                f'<line class="whisker" x1="{a:.2f}%" x2="{b:.2f}%" y1="{mid}" y2="{mid}"/>'
                f'<line class="whisker" x1="{a:.2f}%" x2="{a:.2f}%" y1="{mid - 5}" y2="{mid + 5}"/>'
                f'<line class="whisker" x1="{b:.2f}%" x2="{b:.2f}%" y1="{mid - 5}" y2="{mid + 5}"/>'
            )
    if low < 0 < high:
        zero = at(0.0)
        parts.append(f'<line class="zero" x1="{zero:.2f}%" x2="{zero:.2f}%" y1="{top}" y2="{height - 4}"/>')
    return svg("bars", label, f'width="100%" height="{height}"', parts)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About ``count`` round numbers that lie within the range."""
    room = high - low
    if room <= 0 or not math.isfinite(room):
        return [low]
    raw = room / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def curves(
    epochs: Sequence[float],
    series: dict[str, Sequence[float | None]],
    *,
    best: float | None,
    label: str,
    whole: bool = True,
) -> str:
    """Lines over epochs (or levels, ``whole=False``), gaps where a number is missing, the chosen epoch marked."""
    values = [v for line in series.values() for v in line if v is not None]
    low, high = min(values), max(values)
    pad = (high - low) * 0.08 or max(abs(high) * 0.1, 0.05)
    low, high = (max(0.0, low - pad) if low >= 0 else low - pad), high + pad
    wide, tall, left, right, top, bottom = 460, 260, 50, 14, 20, 30
    first, last = min(epochs), max(epochs)

    def x_of(e: float) -> float:
        return left + (wide - left - right) * ((e - first) / (last - first) if last > first else 0.5)

    def y_of(v: float) -> float:
        return top + (tall - top - bottom) * (1 - (v - low) / (high - low))

    parts = []
    for t in ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{left}" x2="{wide - right}" y1="{y_of(t):.1f}" y2="{y_of(t):.1f}"/>'
            f'<text class="faint" x="{left - 7}" y="{y_of(t) + 4:.1f}" text-anchor="end">{_tick(t)}</text>'
        )
    across: Sequence[float] = ticks(first, last, 6)
    if whole:
        across = sorted({round(t) for t in across} & set(range(math.floor(first), math.ceil(last) + 1)))
    for t in across:
        parts.append(f'<text class="faint" x="{x_of(t):.1f}" y="{tall - 9}" text-anchor="middle">{_tick(t)}</text>')
    if best is not None and first <= best <= last:
        x = x_of(best)
        anchor = "end" if x > wide * 0.7 else "start" if x < wide * 0.3 else "middle"
        parts.append(
            f'<line class="chosen" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{tall - bottom}"/>'
            f'<text class="faint" x="{x:.1f}" y="{top - 8}" text-anchor="{anchor}">'
            f"{esc(tr(f'chosen: epoch {number(best)}'))}</text>"
        )
    for i, line in enumerate(series.values()):
        run: list[str] = []
        runs = [run]
        for e, v in zip(epochs, line, strict=True):
            if v is None:
                run = []
                runs.append(run)
                continue
            run.append(f"{x_of(e):.1f},{y_of(v):.1f}")
            if e == best or len(epochs) == 1:
                parts.append(f'<circle class="dot s{i % 4}" cx="{x_of(e):.1f}" cy="{y_of(v):.1f}" r="4"/>')
        for r in runs:
            if len(r) > 1:
                parts.append(f'<polyline class="line s{i % 4}" points="{" ".join(r)}"/>')
            elif len(r) == 1 and len(epochs) > 1:
                x, y = r[0].split(",")
                parts.append(f'<circle class="dot s{i % 4}" cx="{x}" cy="{y}" r="2.5"/>')
    return svg("plot", label, f'viewBox="0 0 {wide} {tall}"', parts)


def confusion_matrix(labels: Sequence[str], matrix: Sequence[Sequence[int]], *, label: str) -> str:
    """Truth down, prediction across; the shade is the share of the row, the number the count."""
    n = len(labels)
    cell = 64 if n <= 4 else 46 if n <= 10 else 38
    names = _told_apart([str(name) for name in labels], 18)
    side = 34 + 8 * max(columns(name) for name in names)
    head = side if n > 4 or max(columns(name) for name in names) > 8 else 44
    beyond = max(8, round(0.71 * (side - 34)) - cell // 2 + 8) if head == side else 8  # names are turned by 45 degrees
    wide, tall = side + cell * n + beyond, head + cell * n + 8
    parts = [
        f'<text class="faint" x="{side}" y="12">{tr("predicted")} \u2192</text>',
        f'<text class="faint" x="12" y="{head}" transform="rotate(-90 12 {head})" text-anchor="end">'
        f"{tr('truth')} \u2192</text>",
    ]
    for i, name in enumerate(names):
        middle = cell * i + cell / 2
        full = f"<title>{esc(labels[i])}</title>"
        parts.append(
            f'<text class="name" x="{side - 8}" y="{head + middle + 4:.0f}" text-anchor="end">{esc(name)}{full}</text>'
        )
        x, y = side + middle, head - 8
        turn = f' transform="rotate(-45 {x:.0f} {y})"' if head == side else ' text-anchor="middle"'
        parts.append(f'<text class="name" x="{x:.0f}" y="{y}"{turn}>{esc(name)}{full}</text>')
    for i, row in enumerate(matrix):
        total = sum(row)
        for j, count in enumerate(row):
            share = count / total if total > 0 else 0.0
            said = tr(f"truth {labels[i]}, predicted {labels[j]}: {count:,} of {total:,}")
            tip = f"<title>{esc(said)}</title>"
            x, y = side + cell * j, head + cell * i
            parts.append(
                f'<rect class="cell" x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="{cell - 2}" rx="3"/>'
                f'<rect class="{"hit" if i == j else "miss"}" x="{x + 1}" y="{y + 1}" width="{cell - 2}"'
                f' height="{cell - 2}" rx="3" fill-opacity="{_shade(count, share)}">{tip}</rect>'
            )
            if count > 0:
                css = "on" if share > 0.75 else "mid" if share > 0.45 else "off"
                parts.append(
                    f'<text class="count {css}" x="{x + cell / 2:.0f}" y="{y + cell / 2 + 4:.0f}"'
                    f' text-anchor="middle">{_short(count)}</text>'
                )
    return svg("matrix", label, f'width="{wide}" height="{tall}" viewBox="0 0 {wide} {tall}"', parts)


def scatter(truth: Sequence[float], prediction: Sequence[float], *, label: str) -> str:
    """Truth across, prediction up, at most 1,500 dots, with the line on which both agree."""
    stride = max(1, math.ceil(len(truth) / 1500))
    pairs = list(zip(truth, prediction, strict=True))[::stride]
    low, high = min(min(p) for p in pairs), max(max(p) for p in pairs)
    pad = (high - low) * 0.04 or 1.0
    low, high = low - pad, high + pad
    side, left, bottom, top = 400, 62, 42, 12

    def at(v: float) -> tuple[float, float]:
        share = (v - low) / (high - low)
        return left + share * (side - left - 10), side - bottom - share * (side - bottom - top)

    parts = []
    for t in ticks(low, high):
        x, y = at(t)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{side - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="faint" x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{_tick(t)}</text>'
            f'<text class="faint" x="{x:.1f}" y="{side - bottom + 16}" text-anchor="middle">{_tick(t)}</text>'
        )
    (x1, y1), (x2, y2) = at(low), at(high)
    parts.append(f'<line class="chosen" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    parts += [f'<circle class="point" cx="{at(t)[0]:.1f}" cy="{at(p)[1]:.1f}" r="3"/>' for t, p in pairs]
    parts.append(f'<text class="faint" x="{side - 10}" y="{side - 6}" text-anchor="end">{tr("truth")} \u2192</text>')
    parts.append(f'<text class="faint" x="{left + 6}" y="{top + 8}">\u2191 {tr("predicted")}</text>')
    return svg("plot square", label, f'viewBox="0 0 {side} {side}"', parts)


def _told_apart(names: list[str], width: int) -> list[str]:
    """Names cut to a width, in the middle where cutting the end would make two alike."""
    short = [cut(name, width) for name in names]
    half = width // 4  # of characters that may be two columns wide, on both sides
    return [
        f"{cut(name, 2 * half)[:half]}\u2026{name[-half - 3 :]}" if short.count(s) > 1 and len(name) > width else s
        for name, s in zip(names, short, strict=True)
    ]


def _shade(count: int, share: float) -> str:
    return "0" if count == 0 else f"{0.08 + 0.92 * share:.2f}"


def _tick(value: float) -> str:
    if abs(value) >= 10_000:
        return _short(value)
    return f"{value:.4g}".replace("-", "\u2212")


def _short(count: float) -> str:
    size = abs(count)
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{count / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{count:g}"
