"""The section of the page on damaged and foreign rows, wrong labels and slices: a sentence, then a table each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.report.languages import tr
from plait.report.template import fill
from plait.report.words import bracketed, listed, modality, number, signed, with_span

TEMPLATE = "report/trust_parts.html.jinja"
_MOST = 20
Lines = tuple[list[str], list[list[str]]]  # head, and the cells of each row


def section(report: dict[str, Any]) -> str:
    """Every part that has a title of its own; one that does not apply says why."""
    trust = (report.get("evaluation") or {}).get("trust") or {}
    made = []
    for name, part in trust.items():
        if not isinstance(part, dict) or not part.get("title"):
            continue
        if not part.get("applicable"):
            made.append((part["title"], f"Not applicable: {part.get('why')}.", None, []))
            continue
        head, lines = _TABLES[name](part) if name in _TABLES else ([], [])
        made.append(
            (part["title"], part.get("sentence"), (head, lines[:_MOST]) if lines else None, part.get("notes") or [])
        )
    return fill(TEMPLATE, "section", parts_made=made) if made else ""


def _robustness(part: dict[str, Any]) -> Lines:
    levels = [f"severity {s}" for s in part.get("severities") or []]
    lines = [
        [modality(c["modality"]), tr(str(c["corruption"]).replace("_", " "), "damage"),
         *_with_intervals(c["scores"], c.get("intervals")),
         _change((c.get("changes") or [None])[-1]),
         *(_with_intervals([c[area]], [c.get(f"{area}_interval")])[0] for area in ("relative", "effective"))]
        for c in part.get("curves") or []
    ]  # fmt: skip
    head = ["Modality", "Damage", *levels, "Change at the last", "Relative robustness", "Effective robustness"]
    return head, lines


def _with_intervals(values: Sequence[Any], intervals: Sequence[Any] | None) -> list[str]:
    """Numbers, each with its interval where it has one."""
    bounds = intervals or [None] * len(values)
    return [with_span(v, *(b or (None, None))) for v, b in zip(values, bounds, strict=True)]


def _change(entry: dict[str, Any] | None) -> str:
    """A paired change with its interval."""
    if entry is None or entry.get("value") is None:
        return ""
    low, high = entry.get("low"), entry.get("high")
    return signed(entry["value"]) + ("" if low is None or high is None else bracketed(signed(low), signed(high)))


def _mismatch(part: dict[str, Any]) -> Lines:
    head = ["Taken from another row", "With its own", "With another's", "Answers changed", "AUROC of confidence"]
    keys = ("own", "other", "changed", "auroc")
    return head, [[modality(m["modality"]), *(number(m[k]) for k in keys)] for m in part.get("modalities") or []]


def _ood(part: dict[str, Any]) -> Lines:
    lines = [
        [tr(f"another row's {s['modality']}"), tr(s["score"]), number(s["auroc"]), number(s["fpr95"])]
        for s in part.get("swapped") or []
    ]
    lines += [
        [tr("a class held out (mean)"), tr(score), number(v), ""] for score, v in (part.get("mean") or {}).items()
    ]
    return ["Foreign rows", "Score", "AUROC", "Pass where 95 % of known rows do"], lines


def _label_errors(part: dict[str, Any]) -> Lines:
    keys = ("probability_of_label", "probability_of_suggested")
    lines = [
        [str(c["row"]), c["label"], c["suggested"], *(number(c[k]) for k in keys), _shown(c)]
        for c in part.get("candidates") or []
    ]
    return ["Row", "Label", "Looks like", "P(label)", "P(looks like)", "Inputs"], lines


def _shown(candidate: dict[str, Any]) -> str:
    return " / ".join(str(i["text"])[:80] for i in candidate.get("inputs") or [] if i.get("text"))


def _slices(part: dict[str, Any]) -> Lines:
    keys = ("rows", "mean", "rest", "low", "high")
    lines = [
        [f"{tr(s['column'], 'slice')} = {s['value']}", *(number(s[k]) for k in keys)] for s in part.get("real") or []
    ]
    return ["Slice", "Rows", str(part.get("score")), "Other rows", "Gap from", "to"], lines


def _duplicates(part: dict[str, Any]) -> Lines:
    lines = [
        [
            modality(p["modality"]),
            listed(str(r) for r in p["rows"]),
            listed(tr(s, "split") for s in p["splits"]),
            number(p["alike"]),
        ]
        for p in part.get("pairs") or []
    ]
    return ["Nearly the same", tr("Rows", "numbers"), "In", "How alike (1: equal)"], lines


_TABLES = {
    "duplicates": _duplicates,
    "robustness": _robustness, "mismatch": _mismatch, "ood": _ood, "label_errors": _label_errors, "slices": _slices,
}  # fmt: skip
