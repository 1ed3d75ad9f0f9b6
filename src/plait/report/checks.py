"""The coded checks that stand below the verdict: what to know before this model is trusted, the worst first.

Each check reads one part of the report and says error, warning, info, ok or n/a, as the checks of a table do; the
section it links to holds the detail. A check of a part that was not measured is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from plait.report.words import estimate, metric_name, number, span

TEMPLATE = "report/checks.html.jinja"
SEVERITIES = ("error", "warning", "info", "ok", "n/a")
Found = tuple[str, str]  # severity, sentence
Check = tuple[str, str, str, Callable[[dict[str, Any]], Found | None]]  # code, title, anchor of the detail, maker


def findings(report: dict[str, Any]) -> list[dict[str, str]]:
    """Every check that can be made of this report, by severity and then code.

    Args:
        report: What ``plain`` returned.

    Returns:
        Dictionaries of ``code``, ``severity`` (one of ``SEVERITIES``), ``title``, ``sentence`` and ``anchor``.

    Example:
        >>> entry = {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}
        >>> part = {"metric": {"name": "accuracy"}, "evaluation": {"metrics": entry, "chance": 0.62}}
        >>> [(c["code"], c["severity"]) for c in findings(part)]
        [('T001', 'error')]
    """
    made = []
    for code, title, anchor, look in CHECKS:
        found = look(report)
        if found is not None:
            severity, sentence = found
            made.append({"code": code, "severity": severity, "title": title, "sentence": sentence, "anchor": anchor})
    return sorted(made, key=lambda c: (SEVERITIES.index(c["severity"]), c["code"]))


def section(report: dict[str, Any]) -> str:
    """The checks as a list."""
    from plait.report.template import fill

    made = findings(report)
    return fill(TEMPLATE, "section", checks=made) if made else ""


def _guessing(report: dict[str, Any]) -> Found | None:
    evaluation, metric = report.get("evaluation") or {}, report.get("metric") or {}
    value, low, high = estimate((evaluation.get("metrics") or {}).get(metric.get("name")))
    chance = evaluation.get("chance")
    if value is None or low is None or high is None or not isinstance(chance, int | float):
        return None
    sign = 1 if metric.get("higher_is_better", True) else -1
    worst, best = (low, high) if sign == 1 else (high, low)
    said = f"{metric_name(metric['name'])} {number(value)} ({span(low, high)}), guessing {number(chance)}"
    if sign * best <= sign * chance:
        return "error", f"The model is no better than guessing: {said}."
    if sign * worst <= sign * chance:
        return "warning", f"These rows do not show that the model beats guessing: {said}."
    return "ok", f"{said}."


def _probabilities(report: dict[str, Any]) -> Found | None:
    """Log loss against that of the best constant answer on these rows, the shares of the classes."""
    found = report.get("evaluation") or {}
    value, low, _ = estimate((found.get("metrics") or {}).get("log_loss"))
    counts = [int(c.get("support") or 0) for c in found.get("per_class") or []]
    if value is None or low is None or sum(counts) == 0 or not found.get("confusion"):  # one class a row
        return None
    shares = [n / sum(counts) for n in counts if n]
    constant = -sum(p * math.log(p) for p in shares)
    said = f"log loss {number(value)}; always answering the shares of the classes gets {number(constant)}"
    if low > constant:
        return "warning", f"Its probabilities are worse than none: {said}. New rows may calibrate it (plait calibrate)."
    if value > constant:
        return "warning", f"These rows do not show that its probabilities tell anything: {said}."
    return "ok", f"{said[:1].upper()}{said[1:]}."


def _calibration(part: dict[str, Any]) -> Found | None:
    value, _, _ = estimate((part.get("metrics") or {}).get("ece"))
    limit = (part.get("perfect") or {}).get("high")
    if value is None or limit is None:
        return None
    said = f"ECE {number(value)}; a perfectly calibrated model stays below {number(limit)} in 95 of 100 cases"
    return ("warning", f"Its confidence cannot be read as a probability: {said}.") if value > limit else (
        "ok", f"{said}.")  # fmt: skip


def _coverage(part: dict[str, Any]) -> Found | None:
    short, looked = [], 0
    for level in part.get("levels") or []:
        for entry, name in [(level, "all rows"), *((p, p["present"]) for p in level.get("patterns") or [])]:
            value, _, high = estimate(entry.get("covered"))
            looked += value is not None
            if value is not None and high is not None and high < level["coverage"]:
                short.append(f"{level['method']} on {name}: {number(value)} of {number(level['coverage'])}")
    if not looked:
        return None
    if short:
        return "warning", f"{len(short)} of {looked} fall short of what was promised: {'; '.join(short[:4])}."
    return "ok", f"None of {looked} measured coverages is clearly below its promise."


def _few(report: dict[str, Any]) -> Found | None:
    part = ((report.get("evaluation") or {}).get("trust") or {}).get("conformal") or {}
    few = [p for p in part.get("patterns") or [] if not p.get("is_own")] if part.get("applicable") else []
    if not few:
        return None
    names = ", ".join(f"{' + '.join(p['present']) or 'nothing'} ({number(p['rows'])})" for p in few[:4])
    return "info", f"Too few calibration rows of their own, so pooled rows speak for them: {names}."


def _counted(key: str) -> Callable[[dict[str, Any]], Found | None]:
    """A warning where anything was counted under the key; the sentence is the part's own."""

    def look(part: dict[str, Any]) -> Found | None:
        if part.get(key) is None:
            return None
        return "warning" if part[key] else "ok", str(part.get("sentence") or f"{number(part[key])} found.")

    return look


def _told(part: dict[str, Any]) -> Found | None:
    return ("info", str(part["sentence"])) if part.get("sentence") else None


def _other_rows(part: dict[str, Any]) -> Found | None:
    found = _told(part)
    is_unread = any(one.get("unread") for one in part.get("modalities") or [])
    return ("warning", found[1]) if found and is_unread else found


def _left_out(report: dict[str, Any]) -> Found | None:
    bad = (report.get("evaluation") or {}).get("bad_rows")
    if bad is None:
        return None
    cells = sum(b.get("outcome") == "counted as missing" for b in bad)
    rows = len({b["row"] for b in bad if b.get("outcome") != "counted as missing"})
    if not bad:
        return "ok", "Every row was used."
    return "warning" if rows else "info", f"Rows left out: {rows:,}; cells counted as missing: {cells:,}."


def _trust(name: str, look: Callable[[dict[str, Any]], Found | None]) -> Callable[[dict[str, Any]], Found | None]:
    """A check of a part of the trust report; where the part does not apply it says why."""

    def of_part(report: dict[str, Any]) -> Found | None:
        part = ((report.get("evaluation") or {}).get("trust") or {}).get(name)
        if not isinstance(part, dict):
            return None
        why = str(part.get("why") or "no reason given")
        return look(part) if part.get("applicable") else ("n/a", f"{why[:1].upper()}{why[1:]}.")

    return of_part


CHECKS: tuple[Check, ...] = (
    ("T001", "Better than guessing", "numbers", _guessing),
    ("T002", "Rows left out", "left-out", _left_out),
    ("T003", "Calibration", "trust", _trust("calibration", _calibration)),
    ("T004", "Promised coverage", "trust", _trust("conformal", _coverage)),
    ("T005", "Patterns with few rows", "trust", _few),
    ("T006", "Labels that look wrong", "trusted", _trust("label_errors", _counted("num_candidates"))),
    ("T007", "Slices that do worse", "trusted", _trust("slices", _counted("num_real"))),
    ("T008", "Damaged inputs", "trusted", _trust("robustness", _told)),
    ("T009", "Inputs of another row", "trusted", _trust("mismatch", _other_rows)),
    ("T010", "Foreign rows", "trusted", _trust("ood", _told)),
    ("T011", "Probabilities", "numbers", _probabilities),
)  # fmt: skip
