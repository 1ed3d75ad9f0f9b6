"""The sections of the page that explains a model. Each takes the plain explanation and returns HTML, or nothing.

The shape is what ``plait.explain_modalities`` returns; ``Plait.explain`` adds the facts of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait.report import charts, explained_inputs, explanation_charts, facts
from plait.report.languages import tr
from plait.report.template import PARTS, fill
from plait.report.words import cut, estimate, metric_name, modality, number

TEMPLATE = "report/explanation.html.jinja"
MAX_ROWS = 24


def headline(report: dict[str, Any]) -> str:
    """What interaction is worth, large, beside the verdict."""
    value, low, high = estimate(((report.get("gains") or {}).get("metric") or {}).get("all over nothing"))
    verdict = report.get("verdict")
    if value is None:
        return fill(PARTS, "top", verdict=verdict) if verdict else ""
    level, change, unit = _words(report)
    full, empty = (estimate(report["subsets"][i]["metric"])[0] for i in (-1, 0))
    if report.get("beats_guessing") is False and full is not None:
        guess = report.get("chance") if report.get("chance") is not None else empty
        lines = [f"on {number(report.get('rows'))} rows", f"guessing gets {level(guess)}" if guess is not None else ""]
        return fill(
            PARTS, "top", title=metric_name(report["metric"]["name"]), value=level(full), below=lines, verdict=verdict
        )
    interval = f"95% interval {change(low)} to {change(high)}" if low is not None and high is not None else ""
    where = "" if full is None or empty is None else f"{level(empty)} with nothing, {level(full)} with everything"
    return fill(
        PARTS, "top", title=f"{metric_name(report['metric']['name'])} to explain", value=change(value),
        below=[f"{unit} on {number(report.get('rows'))} rows", interval, where], verdict=verdict,
    )  # fmt: skip


def shares(report: dict[str, Any]) -> str:
    """Shapley values on the metric as a way from nothing to everything, and all numbers in a table."""
    values = (report.get("shapley") or {}).get("metric") or {}
    full, empty = (estimate(report["subsets"][i]["metric"])[0] for i in (-1, 0)) if values else (None, None)
    if full is None or empty is None or any(v["value"] is None for v in values.values()):
        return ""
    level, change, unit = _words(report)
    order = sorted(values, key=lambda n: -values[n]["value"])
    chart = explanation_charts.waterfall(
        empty, [(modality(n), values[n]["value"], values[n]["low"], values[n]["high"]) for n in order], full,
        level=level, change=change, label=tr("Shapley value of each modality, from nothing to everything"),
    )  # fmt: skip
    nothing = _said_of_nothing(report["empty"]) if report.get("empty") else ""
    lead = (
        f"Exact Shapley values on {metric_name(report['metric']['name'])}{_in(unit)}: what each modality adds, "
        "averaged over all orders in which they can arrive. The bars add up without remainder; whiskers are 95% "
        f"intervals.{_meaning(report)}{nothing}"
    )
    loss = str((report.get("loss") or {}).get("name", "loss")).replace("_", " ")
    head = ["Modality", "Share", "Shapley", "Added last", f"Less {loss}", "Lost when shuffled"]
    return fill(TEMPLATE, "shares", lead=lead, chart=chart, head=head, rows=_numbers(report, order))


def _meaning(report: dict[str, Any]) -> str:
    """What the score is, where its name does not say it."""
    said = (report.get("metric") or {}).get("meaning")
    return f" The score is the {said}." if said else ""


def _said_of_nothing(empty: dict[str, Any]) -> str:
    own = empty.get("model")
    if empty.get("is"):
        return f" Where nothing of the row is given, the {empty['is']} is {number(empty.get('answer'))}."
    if own is None:
        return f" Given nothing, the model answers {number(empty.get('answer'))}."
    return (
        f" Where nothing is given, {empty.get('by')} stands for the answer ({number(empty.get('answer'))}); the model "
        f"itself, which was not made for that, would say {number(own.get('answer'))}."
    )


def _numbers(report: dict[str, Any], order: list[str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Of each modality its name, its share, and numbers with their intervals."""
    _, change, _ = _words(report)
    shapley, shuffled = report["shapley"], (report.get("perceptual") or {}).get("modalities") or {}
    last = report["gains"]["metric"]["added to the others"]
    rows = []
    for name in order:
        metric, on_loss = shapley["metric"][name], shapley["loss"][name]
        drop = (shuffled.get(name) or {}).get("raw")
        share = "\u2013" if metric["share"] is None else f"{100 * metric['share']:.0f}%"
        cells = [(metric, change), (last[name], change), (on_loss, _signed_number), (drop, change)]
        rows.append((modality(name), share, [_cell(entry, say) for entry, say in cells]))
    return rows


def _cell(entry: Any, say: Callable[[float], str]) -> tuple[str, str]:
    value, low, high = estimate(entry)
    if value is None:
        return "\u2013", ""
    return say(value), "" if low is None or high is None else tr(f"{say(low)} to {say(high)}")


def subsets(report: dict[str, Any]) -> str:
    """The metric of every subset of modalities."""
    given = report.get("subsets") or []
    count = len(report.get("modalities") or [])
    rows: list[charts.Bar] = []
    for entry in sorted(given, key=lambda e: -len(e["modalities"])):
        value, low, high = estimate(entry["metric"])
        if value is not None:
            size = len(entry["modalities"])
            css = "fused" if size == count else "alone" if size == 1 else "without"
            rows.append((modality(entry["name"]) if size else tr("nothing at all"), value, low, high, css))
    if not rows:
        return ""
    absence = report.get("absence") or {}
    level, _, _ = _words(report)
    lead = f"{metric_name(report['metric']['name'])} with only these modalities: {absence.get('meaning', '')}."
    chart = charts.bars(rows, chance=report.get("chance"), label=tr("metric of every subset of modalities"), say=level)
    return fill(PARTS, "charted", text=lead, chart=chart)


def interaction(report: dict[str, Any]) -> str:
    """Pairwise interaction indices."""
    names = report.get("modalities") or []
    pairs = (report.get("interaction") or {}).get("metric") or []
    if len(names) < 2 or any(p["value"] is None for p in pairs):
        return ""
    _, change, unit = _words(report)
    place = {n: i for i, n in enumerate(names)}
    table = [[0.0] * len(names) for _ in names]
    clear = [[False] * len(names) for _ in names]
    for p in pairs:
        a, b = place[p["pair"][0]], place[p["pair"][1]]
        table[a][b] = table[b][a] = p["value"]
        clear[a][b] = clear[b][a] = p["low"] is not None and not p["low"] <= 0 <= p["high"]
    own = [report["shapley"]["metric"][n]["value"] for n in names]
    chart = explanation_charts.pair_matrix(
        [modality(n) for n in names], own, table, clear, change=change, label=tr("interaction of modalities")
    )
    listed = [
        f"{p['pair'][0]} and {p['pair'][1]}: {change(p['value'])}"
        + (f" ({change(p['low'])} to {change(p['high'])})" if p["low"] is not None else "")
        for p in pairs
    ]
    lead = (
        f"Shapley interaction index on the metric{_in(unit)}. Blue, above zero: the two need each other. Orange, below "
        "zero: one can stand in for the other. Pale: cannot be told from zero. On the diagonal, the Shapley "
        "value of each. This is about what the modalities are worth: two that carry the same stand below zero even "
        "in a model that only adds them up; the next section asks what the model itself does."
    )
    return fill(TEMPLATE, "noted", lead=lead, chart=chart, notes=listed, scroll=True)


def additive(report: dict[str, Any]) -> str:
    """EMAP: the model beside its best sum of one score per modality."""
    found = report.get("emap") or {}
    if report.get("emap_not_applicable") and len(report.get("modalities") or []) > 1:
        return fill(PARTS, "lead", text=f"Not applicable: {report['emap_not_applicable']}.")
    if not found or estimate(found.get("projected"))[0] is None:
        return ""
    level, change, unit = _words(report)
    rows: list[charts.Bar] = []
    for key, name, css in (("full", "the model", "fused"), ("projected", "its best sum, no interaction", "without")):
        value, low, high = estimate(found[key])
        rows.append((tr(name), value or 0.0, low, high, css))
    gap, low, high = estimate(found["gap"])
    chance = report.get("chance") or None  # a line at 0 would only cross the names
    chart = charts.bars(rows, chance=chance, label=tr("the model and its additive projection"), say=level)
    interval = f" ({change(low)} to {change(high)})" if low is not None and high is not None else ""
    lost = "" if gap is None else f"Interaction is worth {change(gap)} {unit}{interval}. "
    lead = (
        "EMAP replaces the model by the sum of one score per modality that comes closest to it. What is lost rests on "
        "the modalities being read together."
    )
    missed = "all" if found["residual"] >= 1 else _percent(found["residual"])
    rest = f"{lost}The sum misses {missed} of the spread of the scores. Measured by {found['method']}."
    return fill(TEMPLATE, "additive", lead=lead, chart=chart, below=rest)


def shuffled(report: dict[str, Any]) -> str:
    """Perceptual score: what is lost when one modality belongs to another row."""
    found = report.get("perceptual") or {}
    modalities = found.get("modalities") or {}
    if not modalities:
        return ""
    rows: list[charts.Bar] = []
    notes = []
    for name, entry in sorted(modalities.items(), key=lambda item: -item[1]["raw"]["value"]):
        raw = entry["raw"]
        rows.append((modality(name), raw["value"], raw["low"], raw["high"], "alone"))
        part = entry["normalised"]["value"]
        if part is not None:
            notes.append(f"{name}: {_percent(part)} of {found['normaliser']}")
    _, change, unit = _words(report)
    count = next(iter(modalities.values()))["permutations"]
    lead = (
        f"Perceptual score: {metric_name(report['metric']['name'])} lost when the values of one modality are dealt to "
        f"other rows{_in(unit)}, mean of {count} shufflings (whiskers: 95% of them). It says what the model uses, not "
        "what is informative."
    )
    chart = charts.bars(rows, label=tr("what is lost when a modality is shuffled"), say=change)
    return fill(TEMPLATE, "noted", lead=lead, chart=chart, notes=notes)


def rows(report: dict[str, Any]) -> str:
    """Single rows with what moved the answer."""
    given = [] if report.get("inputs") else (report.get("examples") or [])[:MAX_ROWS]  # shown with their parts there
    if not given:
        return ""
    are_shares = all("probability" in str(r.get("explained")) for r in given)
    largest = max((abs(v) for r in given for v in r["shapley"].values()), default=1.0)
    lead = (
        "What each modality adds to the answer to one row; the bars add up to the whole way from the answer to nothing "
        "to the answer given."
    )
    return fill(TEMPLATE, "rows", lead=lead, cards=[_card(row, are_shares, largest) for row in given])


def _card(row: dict[str, Any], are_shares: bool, largest: float) -> dict[str, Any]:
    """What the card of a row shows."""

    def say(value: float) -> str:
        return _signed(100 * value, 1) if are_shares else _signed_number(value)

    def level(value: float) -> str:
        return f"{100 * value:.1f}%" if are_shares else number(value)

    there = set(row.get("present") or row["shapley"])
    bars = [(modality(n), v if n in there else None) for n, v in row["shapley"].items()]
    chart = explanation_charts.row_bars(bars, change=say, largest=largest, label=tr("Shapley values of the row"))
    pairs = sorted(row.get("interaction") or [], key=lambda p: -abs(p["value"]))[:1]
    right = row.get("truth") is not None and row.get("truth") == row.get("prediction")
    facts_of = [(k, cut(str(row[k]), 120)) for k in ("truth", "prediction") if row.get(k) is not None]
    way = f"{level(row['with nothing'])} \u2192 {level(row['with everything'])}"
    facts_of.append((cut(tr(str(row.get("explained", "answer"))), 60), way))
    facts_of += [
        ("together", f"{tr(' and '.join(p['pair']), 'pair')} {say(p['value'])}") for p in pairs if p["value"] != 0
    ]
    css = "open" if row.get("truth") is None or not are_shares else "right" if right else "wrong"
    return {"row": row, "css": css, "chart": chart, "facts": facts_of}


def method(report: dict[str, Any]) -> str:
    """What was measured, what absence meant, and what it cost."""
    absence, cost = report.get("absence") or {}, report.get("cost") or {}
    if not absence:
        return ""
    shown = {
        "absence": f"{tr(absence.get('name'), 'absence')}{tr(': ', 'stop')}{tr(absence.get('meaning'))}",
        "metric": metric_name(str((report.get("metric") or {}).get("name"))),
        "score": (report.get("metric") or {}).get("meaning"),
        "loss": f"{(report.get('loss') or {}).get('name')}; {(report.get('loss') or {}).get('note')}",
        "intervals": f"95% percentile bootstrap over rows, {report.get('resamples')} draws",
        "rows asked of the model": f"{cost.get('rows_asked', 0):,} in {cost.get('calls', 0):,} calls, "
        f"{cost.get('seconds')} seconds; {cost.get('note')}",
    }
    shown = {name: tr(value) for name, value in shown.items() if value is not None}
    return fill(TEMPLATE, "method", facts=shown, notes=report.get("notes"))


def left_out(report: dict[str, Any]) -> str:
    """Rows that could not be used, and counts."""
    return facts.left_out({"evaluation": report})


def _words(report: dict[str, Any]) -> tuple[Callable[[float], str], Callable[[float], str], str]:
    """How a level and a change of the metric are written, and the unit of a change."""
    metric = report.get("metric") or {}
    if metric.get("in_points"):
        return lambda v: f"{100 * v:.1f}%", lambda v: _signed(100 * v, 1), "points"
    return number, _signed_number, metric.get("unit") or metric_name(str(metric.get("name", "metric")))


def _in(unit: str) -> str:
    return f", in {unit}" if unit == "points" or unit.startswith("nats") else ""


def _signed(value: float, digits: int) -> str:
    shown = round(value, digits) + 0.0
    return f"{shown:+.{digits}f}".replace("-", "\u2212") if shown else f"{0:.{digits}f}"


def _signed_number(value: float) -> str:
    text = f"{value:.2e}".replace("-", "\u2212") if abs(value) >= 1e6 else number(value)
    return f"+{text}" if value > 0 else text


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%".replace("-", "\u2212")


# (anchor, title, maker); a section whose maker returns nothing is left out.
SECTIONS: tuple[tuple[str, str, Callable[[dict[str, Any]], str]], ...] = (
    ("inputs", "Inside the inputs", explained_inputs.section),
    ("shares", "What each modality adds", shares),
    ("subsets", "Every subset", subsets),
    ("interaction", "Who needs whom", interaction),
    ("emap", "With and without interaction", additive),
    ("shuffled", "Dealt to the wrong rows", shuffled),
    ("rows", "Row by row", rows),
    ("method", "How it was measured", method),
    ("left-out", "Rows left out and counts", left_out),
    ("model", "Model", facts.model),
    ("versions", "Versions", facts.versions),
)
