"""The section that shows rows down to their parts. In: what ``explain.inputs.explain_inputs`` returns. Out: HTML.

What counts for the answer is blue, what counts against it orange; the strongest parts also stand in words below, with a
line under them or around them, so that nothing rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any

from plait.report import explanation_charts, part_charts
from plait.report.languages import tr
from plait.report.template import fill
from plait.report.words import cut, listed, number
from plait.report.words import modality as modality_name

TEMPLATE = "report/explained_inputs.html.jinja"
MOST_NAMED = 3
MOST_MARKED = 3
MOST_WORDS = 8
SCORES = {True: "log-likelihood of the true answer", False: "probability or number"}
HIDDEN = "Each part is hidden and the answer asked again; a part's value is what it adds to the explained score."
RELEVANCE = (
    "Attention relevance (Chefer et al. 2021) is how much of the score's gradient runs through attention from each "
    "part: it has no sign and no unit, and says where the model looked, not for or against what."
)
SIGNS = (
    "Both are about the class named at the row. A part is measured where all else of the row stays; a modality against "
    "the training prior, over all that may stand beside it: so a part can count for the answer in a modality that "
    "counts against it."
)
DEEPEST = 62  # per cent of the colour behind a word


def section(report: dict[str, Any]) -> str:
    """All rows, with what is to be known of their checks first."""
    found = report.get("inputs") or {}
    rows = found.get("rows") or []
    if not rows:
        return ""
    writes = any(row.get("written") for row in rows)
    lead = (
        f"What inside each input the answer rests on. {RELEVANCE if found.get('method') == 'attention' else HIDDEN} "
        "Values of one input are coloured by its own largest one; how much the input as a whole counts stands beside "
        f"its name (Shapley value of the modality, on the {SCORES[writes]})."
    )
    signs = "" if writes or found.get("method") == "attention" else SIGNS
    count, bad = found["explanations"], found["untrusted"]
    warning = (
        f"{bad:,} of {count:,} explanations failed a check and are not to be trusted; each says which." if bad else ""
    )
    return fill(TEMPLATE, "section", lead=lead, signs=signs, warning=warning, rows=[_row(row) for row in rows])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    chance, is_number = row.get("probability"), row.get("probability") is None
    written = row.get("written") or []
    shares = [abs(m["shapley"]) for m in row["modalities"] if m.get("shapley") is not None]
    total = sum(shares)
    told = "" if chance is None else f"{100 * chance:.1f}%"
    named = row["explained"].removeprefix("log-odds of ")
    level = tr(told if named == row["prediction"] else f"{told} {named}", "level")
    return {
        **row, "level": f"{told} {named}" if told and level == told else told and level,
        "sides": [_side(m, total, is_number, written) for m in row["modalities"]], "said": _said(written),
    }  # fmt: skip


def _said(written: list[dict[str, Any]]) -> str:
    """The written answer, its words the paler the less sure the model was, each with its probability."""
    pieces = []
    for entry in written:
        chance = exp(entry["log_probability"])
        tip = f"{entry['word']}: {100 * chance:.1f}%, {_signed(entry['log_probability'])} nats"
        pieces += [{"text": entry["word"], "css": "up", "strength": round(DEEPEST * chance), "tip": tip}, {"text": " "}]
    return fill(TEMPLATE, "words", pieces=pieces) if pieces else ""


def _by_word(modality: dict[str, Any], written: list[dict[str, Any]]) -> tuple[list[dict[str, str]], str]:
    """The input once for each written word, coloured by what its parts add to that word; the least sure words first.

    A word that no part moves is left out. Also a line on what is left out.
    """
    parts = modality["parts"]
    if not written or not all("words" in p for p in parts):
        return [], ""
    moved = [w for w in range(len(written)) if max((abs(p["words"][w]) for p in parts), default=0.0) >= 0.0005]
    kept = sorted(moved, key=lambda w: written[w]["log_probability"])[:MOST_WORDS]
    made = []
    for w in sorted(kept):
        own = {**modality, "parts": [{**p, "value": p["words"][w], "probability_without": None} for p in parts]}
        title = f"{written[w]['word']} ({100 * exp(written[w]['log_probability']):.0f}%)"
        made.append(
            {
                "word": title,
                "drawn": DRAWN[modality["kind"]](own),
                "lines": tr("; ", "stop").join(tr(line) for line in _strongest(own)),
            }
        )
    left = len(written) - len(kept)
    what = "word is" if left == 1 else "words are"
    return made, f"{left} more {what} not drawn: moved by nothing, or surer" if left else ""


def _side(
    modality: dict[str, Any], total: float, is_number: bool, written: list[dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    shapley = modality.get("shapley")
    share = ""
    if shapley is not None and total > 0:
        value = _signed(shapley) if is_number else _signed(100 * shapley, 1) + " points"
        share = f"{value}, {100 * abs(shapley) / total:.0f}% of the row"
    base = {"name": modality_name(modality["name"]), "share": share}
    if modality.get("skipped"):
        return {**base, "skipped": modality["skipped"]}
    by_word, left = _by_word(modality, written)
    return {
        **base, "by_word": by_word, "left": left, "failed": modality["failed"],
        "drawn": DRAWN[modality["kind"]](modality), "lines": _strongest(modality), "checks": _checks(modality),
        "curves": part_charts.curves(modality["checks"]),
    }  # fmt: skip


def _words(modality: dict[str, Any]) -> str:
    parts, text = modality["parts"], modality["shown"]["text"]
    largest, leads = _largest(parts), _leads(parts)
    pieces: list[dict[str, Any]] = []
    now = 0
    for p, part in enumerate(parts):
        pieces.append({"text": text[now : part["start"]]})
        css = f"{'up' if part['value'] >= 0 else 'down'}{' lead' if p in leads else ''}"
        strength = round(DEEPEST * abs(part["value"]) / largest)
        tip = _tip(part)
        pieces.append({"text": text[part["start"] : part["end"]], "css": css, "strength": strength, "tip": tip})
        now = part["end"]
    pieces.append({"text": text[now:]})
    return fill(TEMPLATE, "words", pieces=[p for p in pieces if p["text"]])


def _picture(modality: dict[str, Any]) -> str:
    parts = modality["parts"]
    label = tr(f"what each region of {modality['name']} adds")
    overlay = part_charts.heat(parts, _largest(parts), _leads(parts), _tip, label)
    return fill(
        TEMPLATE, "picture", jpeg=modality["shown"].get("image_jpeg_base64"), overlay=overlay, name=modality["name"]
    )


def _sound(modality: dict[str, Any]) -> str:
    parts, shown = modality["parts"], modality["shown"]
    return part_charts.wave(
        parts, shown["waveform"], shown["seconds"], _largest(parts), _leads(parts), _tip,
        tr(f"what each span of {modality['name']} adds"),
    )  # fmt: skip


def _columns(modality: dict[str, Any]) -> str:
    parts = sorted(modality["parts"], key=lambda p: -abs(p["value"]))
    rows = [(cut(f"{p['column']} = {p['value_shown']}", 40), p["value"]) for p in map(_named, parts)]
    return explanation_charts.row_bars(
        rows,
        change=_signed,
        largest=_largest(parts),
        label=tr(f"what each column of {modality['name']} adds"),
        width=40,
    )


def _named(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "value_shown": part.get("cell") or tr("(empty)")}


def _members(modality: dict[str, Any]) -> str:
    pictures = [p.get("image_jpeg_base64") for p in modality["shown"]["pictures"]]
    pictures += [None] * (len(modality["parts"]) - len(pictures))
    values = [f"picture {p['member']}: {_signed(p['value'])}" for p in modality["parts"]]
    return fill(TEMPLATE, "pictures", shown=list(zip(pictures, values, strict=True)))


DRAWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": _words, "image": _picture, "audio": _sound, "tabular": _columns, "image_set": _members,
}  # fmt: skip


def _name(part: dict[str, Any]) -> str:
    """A part in words."""
    if "text" in part:
        return f"\u201c{cut(part['text'], 40)}\u201d"
    if "from" in part:
        return str(tr(f"{part['from']:.2f} to {part['to']:.2f} s"))
    if part.get("place"):
        return str(tr(part["place"]))
    return str(part.get("column") or tr(f"picture {part.get('member')}"))


def _tip(part: dict[str, Any]) -> str:
    without = part.get("probability_without")
    return f"{_name(part)}: {_signed(part['value'])}" + (
        "" if without is None else f"; without it {100 * without:.1f}%"
    )


def _strongest(modality: dict[str, Any]) -> list[str]:
    """The strongest parts for the answer and against it, in words."""
    lines = []
    for word, sign in (("for", 1), ("against", -1)):
        ordered = sorted((p for p in modality["parts"] if sign * p["value"] > 0), key=lambda p: -abs(p["value"]))
        told = [(f"{_name(p)} {_signed(p['value'])}", _drop(p)) for p in ordered[:MOST_NAMED]]
        named = [f"{tr(part, 'part')}{tr(drop)}" for part, drop in told]
        lines += [f"{tr(word)}{tr(': ', 'stop')}{listed(named)}"] if named else []
    return lines or ["nothing in it moves the answer"]


def _drop(part: dict[str, Any]) -> str:
    without = part.get("probability_without")
    return "" if without is None else str(tr(f" ({100 * without:.0f}% without)"))


def _checks(modality: dict[str, Any]) -> list[str]:
    checks, lines = modality["checks"], []
    whole = checks["completeness"]
    promised = "" if whole["passes"] is not None else "; occlusion promises no sum"
    lines.append(
        f"completeness: not applicable, {whole['why']}"
        if whole.get("why")
        else f"{_passed(whole['passes'])}completeness: the parts add up to {_signed(whole['sum'])} of "
        f"{_signed(whole['whole'])} from none to all{promised}"
    )
    curves = checks["curves"]
    for name, better in (("deletion", "below"), ("insertion", "above")):
        part = curves[name]
        lines.append(
            f"{_passed(part.get('passes'))}{name}: area {number(part['area'])}, {better} random "
            f"({number(part['random'])}) is better"
        )
    heads = checks["new_heads"]
    lines.append(
        f"randomised weights: not applicable, {heads['why']}" if heads["passes"] is None else
        f"{_passed(heads['passes'])}randomised weights: rank correlation {number(heads['correlation'])} with "
        f"{heads['heads']} newly drawn heads (above {heads['limit']} fails)"
    )  # fmt: skip
    steps = f", {modality['steps']} steps" if modality.get("steps") else ""
    read = f", {modality['read']}" if modality.get("read") else ""
    lines.append(f"{modality['method']}{steps}{read}; hidden parts become {modality['stands_for']}")
    return [*lines, modality["note"]] if modality.get("note") else lines


def _passed(passes: bool | None) -> str:
    return "" if passes is None else "passed, " if passes else "FAILED, "


def _largest(parts: list[dict[str, Any]]) -> float:
    return max((abs(p["value"]) for p in parts), default=0.0) or 1.0


def _leads(parts: list[dict[str, Any]]) -> set[int]:
    """Places of the strongest parts."""
    order = sorted(range(len(parts)), key=lambda p: -abs(parts[p]["value"]))
    return {p for p in order[: min(MOST_MARKED, max(1, len(parts) // 4))] if parts[p]["value"] != 0}


def _signed(value: float, digits: int | None = None) -> str:
    text = number(value) if digits is None else f"{value:,.{digits}f}"
    text = text.replace("-", "\u2212")
    return f"+{text}" if value > 0 else text
