"""The section of the page on missing modalities: patterns in a table, and the curve of what is missing at random."""

from __future__ import annotations

from typing import Any

from plait.report import charts
from plait.report.words import cut, esc, estimate, metric_name, number, span

_MAX_OCCURRING = 12


def section(report: dict[str, Any]) -> str:
    """Patterns hidden on purpose, patterns as they occur, and the robustness curve."""
    missing = (report.get("evaluation") or {}).get("missing")
    if not missing:
        return ""
    metric = str(missing.get("metric") or (report.get("metric") or {}).get("name") or "")
    left, right = _table(missing, metric), _curve(missing, metric)
    if not left and not right:
        return ""
    rows, of = missing.get("rows"), missing.get("of")
    where = f"{number(rows)} judged rows" if rows == of else f"{number(rows)} of {number(of)} judged rows"
    chance = f"; guessing gets {number(missing['chance'])}" if missing.get("chance") is not None else ""
    lead = f"{metric_name(metric)} when modalities are hidden from the model, on {where}{chance}."
    sentence = f"<p>{_sentence_case(missing['sentence'])}.</p>" if missing.get("sentence") else ""
    notes = "".join(f"<li>{esc(n)}</li>" for n in missing.get("notes") or [])
    notes = f'<ul class="notes">{notes}</ul>' if notes else ""
    return (
        f'<p class="lead">{lead}</p><div class="two">{left}{right}</div>{sentence}{_occurring(missing, metric)}{notes}'
    )


def _sentence_case(text: Any) -> str:
    words = str(text)
    return esc(words[:1].upper() + words[1:])


def _table(missing: dict[str, Any], metric: str) -> str:
    lines = []
    for part in missing.get("hidden") or []:
        nothing = part.get("rows_with_nothing") or 0
        more = f" <small>({number(nothing)} rows have nothing left)</small>" if nothing else ""
        lines.append(_line(esc(cut(_name(part), 60)) + more, part, metric))
    for part in missing.get("counts") or []:
        kind, ways, of = str(part.get("kind")), part.get("subsets"), part.get("of_subsets")
        over = f" <small>(mean of {number(ways)}{'' if ways == of else f' of {number(of)}'} ways)</small>"
        what = f"{number(part.get('missing'))} of {number(part.get('among'))} {esc(_several(kind))} missing"
        lines.append(_line(what + (over if (of or 0) > 1 else ""), part, metric))
    if not lines:
        return ""
    head = f"<th>What is there</th><th class='n'>{metric_name(metric)}</th><th class='n'>95% interval</th>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _name(part: dict[str, Any]) -> str:
    present, gone = part.get("present") or [], part.get("missing") or []
    return f"all but {gone[0]}" if len(gone) == 1 and len(present) > 2 else " + ".join(present)


def _several(kind: str) -> str:
    return {"image": "images", "text": "texts", "modality": "modalities"}.get(kind, f"{kind} modalities")


def _line(name: str, part: dict[str, Any], metric: str) -> str:
    value, low, high = estimate((part.get("metrics") or {}).get(metric))
    return (
        f"<tr><td class='name'>{name}</td><td class='n'>{number(value)}</td><td class='n'>{span(low, high)}</td></tr>"
    )


def _curve(missing: dict[str, Any], metric: str) -> str:
    curve = missing.get("curve") or {}
    levels, scores = curve.get("levels") or [], curve.get("scores") or []
    if len(levels) < 2 or not any(s is not None for s in scores):
        return ""
    series = {"this model": scores}
    if curve.get("late"):
        series["late fusion"] = curve["late"]
    key = "".join(f'<span class="key"><i class="k{i}"></i>{esc(k)}</span>' for i, k in enumerate(series))
    label = f"{metric} as modalities go missing at random"
    chart = charts.curves(levels, series, best=None, label=label, whole=False)
    across = f"Across: probability that a modality is missing, {number(curve.get('draws'))} draws a level."
    return f"<figure><figcaption>{key}</figcaption>{chart}<small>{across}</small></figure>"


def _occurring(missing: dict[str, Any], metric: str) -> str:
    found = missing.get("occurring") or []
    if len(found) < 2:
        return ""
    lines = []
    for part in found[:_MAX_OCCURRING]:
        name = esc(cut(" + ".join(part.get("present") or []) or "nothing", 60))
        value = number(estimate((part.get("metrics") or {}).get(metric))[0])
        cells = f"<td class='n'>{number(part.get('rows'))}</td><td class='n'>{value}</td>"
        lines.append(f"<tr><td class='name'>{name}</td>{cells}</tr>")
    more = len(found) - _MAX_OCCURRING
    rest = f"<p><small>{more:,} more patterns in report.json</small></p>" if more > 0 else ""
    head = f"<th>As the rows are</th><th class='n'>Rows</th><th class='n'>{metric_name(metric)}</th>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll">{table}</div>{rest}'
