"""What of each kind of report is shown: one record a kind, of a sentence, the large number, bars and rows of a table.

A view reads a plain report (``plait.report.plain``) and returns plain values; how they look is said elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from plait.registry import Registry
from plait.report.checks import SEVERITIES
from plait.report.languages import tr
from plait.report.words import estimate, metric_name, names_of
from plait.report.words import modality as modality_name

Row = dict[str, Any]


class Bar(NamedTuple):
    """One bar with its interval; ``part`` groups bars of one kind."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    part: str = ""


@dataclass(frozen=True)
class ReportView:
    """How a kind of report is shown.

    Attributes:
        name: What it is, in a word or two.
        sentence: What was found, in words.
        number: The number that stands large, with its name; None: there is none.
        bars: What is drawn, as (title, bars) of each group; empty: nothing.
        rows: Rows of the data frame.
        told: Rows that a notebook shows where nothing is drawn; the data frame has all.
        names: Names of columns and modalities, which stay as they are in every language.
    """

    name: str
    sentence: Callable[[Row], str]
    number: Callable[[Row], Bar | None]
    bars: Callable[[Row], list[tuple[str, list[Bar]]]]
    rows: Callable[[Row], list[Row]]
    told: Callable[[Row], list[Row]] = lambda _: []
    names: Callable[[Row], set[str]] = names_of


VIEWS: Registry[ReportView] = Registry("kind of shown report")


def _verdict(report: Row) -> str:
    return str(report.get("verdict") or "")


def _bar(name: str, entry: Any, part: str = "") -> Bar | None:
    value, low, high = estimate(entry)
    return None if value is None or not math.isfinite(value) else Bar(name, value, low, high, part)


def _evaluated_number(report: Row) -> Bar | None:
    name = (report.get("metric") or {}).get("name")
    metrics = (report.get("evaluation") or {}).get("metrics") or {}
    return _bar(metric_name(name or ""), metrics.get(name))


def _evaluated_bars(report: Row) -> list[tuple[str, list[Bar]]]:
    evaluation, metric = report.get("evaluation") or {}, (report.get("metric") or {}).get("name")
    found = [_bar(tr("all modalities"), (evaluation.get("metrics") or {}).get(metric), "together")]
    found.append(
        _bar(tr("before tuning"), ((evaluation.get("untuned") or {}).get("metrics") or {}).get(metric), "alone")
    )
    for part, prefix in (("alone", "only "), ("without", "without ")):
        for modality, metrics in (evaluation.get(part) or {}).items():
            found.append(_bar(tr(f"{prefix}{modality}"), (metrics or {}).get(metric), part))
    shares = [Bar(modality_name(name), value, part="share") for name, value in modality_shares(report).items()]
    groups = [(tr("What each modality adds"), shares), (metric_name(metric or ""), [b for b in found if b is not None])]
    return [(title, bars) for title, bars in groups if len(bars) > 1]


def modality_shares(report: Row) -> dict[str, float]:
    """What each modality adds to the metric over guessing: exact Shapley values over the measured subsets.

    Args:
        report: Of ``fit`` or ``evaluate``; its part ``missing`` holds the metric of each subset of modalities.

    Returns:
        Value by modality; they add up to the metric less what guessing gets, the other way round where a lower metric
        is better: above zero helps. Empty where a subset was not measured.

    Reference: Shapley 1953, "A value for n-person games".

    Example:
        >>> values = (["a"], 0.5), (["b"], 0.7), (["a", "b"], 0.9)
        >>> hidden = [{"present": p, "metrics": {"accuracy": v}} for p, v in values]
        >>> found = modality_shares({"evaluation": {"missing": {"metric": "accuracy", "chance": .5, "hidden": hidden}}})
        >>> {name: round(value, 3) for name, value in found.items()}
        {'a': 0.1, 'b': 0.3}
    """
    part = (report.get("evaluation") or {}).get("missing") or {}
    hidden, metric = part.get("hidden") or [], part.get("metric")
    values = {frozenset(one["present"]): estimate((one.get("metrics") or {}).get(metric))[0] for one in hidden}
    values[frozenset()] = part.get("chance")
    names = max((one["present"] for one in hidden), key=len, default=[])
    subsets = [frozenset(c) for size in range(len(names) + 1) for c in combinations(names, size)]
    if not names or any(values.get(subset) is None for subset in subsets):
        return {}
    known = {subset: float(values[subset]) for subset in subsets}  # type: ignore[arg-type]
    sign = 1.0 if (report.get("metric") or {}).get("higher_is_better", True) else -1.0
    found = dict.fromkeys(names, 0.0)
    for subset in subsets:
        for name in set(names) - subset:
            weight = sign / (len(names) * math.comb(len(names) - 1, len(subset)))
            found[name] += weight * (known[subset | {name}] - known[subset])
    return found


def _metric_rows(answered_by: str, metrics: Row) -> list[Row]:
    rows = []
    for name, entry in metrics.items():
        value, low, high = estimate(entry)
        if value is not None or isinstance(entry, dict):
            rows.append({"answered by": answered_by, "metric": name, "value": value, "low": low, "high": high})
    return rows


def _evaluated_rows(report: Row) -> list[Row]:
    evaluation = report.get("evaluation") or {}
    rows = _metric_rows("all modalities", evaluation.get("metrics") or {})
    rows += _metric_rows("before tuning", (evaluation.get("untuned") or {}).get("metrics") or {})
    for part, prefix in (("alone", "only "), ("without", "without ")):
        for modality, metrics in (evaluation.get(part) or {}).items():
            rows += _metric_rows(f"{prefix}{modality}", metrics or {})
    for one in evaluation.get("directions") or []:
        rows += _metric_rows(f"{one['query']} to {one['gallery']}", one["metrics"])
    return rows


def _shapley(report: Row) -> Row:
    return dict((report.get("shapley") or {}).get("metric") or {})


def _explained_bars(report: Row) -> list[tuple[str, list[Bar]]]:
    bars = [_bar(modality_name(name), entry, "share") for name, entry in _shapley(report).items()]
    there = [b for b in bars if b is not None]
    return [(tr("What each modality adds"), there)] if there else []


def _explained_number(report: Row) -> Bar | None:
    full = next((s for s in report.get("subsets") or [] if len(s["modalities"]) == len(report["modalities"])), {})
    return _bar(metric_name((report.get("metric") or {}).get("name", "")), full.get("metric"))


def _explained_rows(report: Row) -> list[Row]:
    alone = {s["modalities"][0]: s for s in report.get("subsets") or [] if len(s["modalities"]) == 1}
    on_loss = (report.get("shapley") or {}).get("loss") or {}
    return [
        {
            "modality": name, "shapley": entry["value"], "low": entry["low"], "high": entry["high"],
            "share": entry.get("share"), "shapley of loss": (on_loss.get(name) or {}).get("value"),
            "alone": estimate((alone.get(name) or {}).get("metric"))[0],
        }
        for name, entry in _shapley(report).items()
    ]  # fmt: skip


def _compared_number(report: Row) -> Bar | None:
    entry = next((m for m in report["methods"] if m["name"] == report.get("selected") and m["status"] == "ok"), None)
    return None if entry is None else _bar(f"{metric_name(report['metric']['name'])}, {entry['name']}", entry["metric"])


def _compared_bars(report: Row) -> list[tuple[str, list[Bar]]]:
    ran = [m for m in report["methods"] if m["status"] == "ok"]
    bars = [_bar(m["name"], m["metric"], m["kind"]) for m in ran]
    there = [b for b in bars if b is not None]
    return [(metric_name(report["metric"]["name"]), there)] if there else []


def _compared_rows(report: Row) -> list[Row]:
    rows = []
    for m in report["methods"]:
        metric, cost, rank = m.get("metric") or {}, m.get("cost") or {}, m.get("rank") or {}
        rows.append(
            {
                "method": m["name"], "kind": m["kind"], "status": m["status"],
                "selected": m["name"] == report.get("selected"), "value": metric.get("value"),
                "low": metric.get("low"), "high": metric.get("high"), "standard deviation": metric.get("spread"),
                "rank": rank.get("value"), "validation": (m.get("validation") or {}).get("value"),
                "parameters": cost.get("parameters"), "train seconds": cost.get("train_seconds"),
                "reason": m.get("reason"),
            }
        )  # fmt: skip
    return rows


def _checked_sentence(report: Row) -> str:
    severities = [finding["severity"] for finding in report["findings"]]
    return ", ".join(f"{severities.count(one)} {one}" for one in SEVERITIES if one in severities)


def _checked_told(report: Row) -> list[Row]:
    """What is wrong or worth knowing, the worst first."""
    told = [f for f in report["findings"] if f["severity"] not in ("ok", "n/a")]
    return sorted(told, key=lambda finding: SEVERITIES.index(finding["severity"]))


VIEWS.add("evaluation", ReportView("Report", _verdict, _evaluated_number, _evaluated_bars, _evaluated_rows))
VIEWS.add("explanation", ReportView("Explanation", _verdict, _explained_number, _explained_bars, _explained_rows))
VIEWS.add("comparison", ReportView("Comparison", _verdict, _compared_number, _compared_bars, _compared_rows))
VIEWS.add(
    "check",
    ReportView(
        "Check", _checked_sentence, number=lambda _: None, bars=lambda _: [], rows=lambda r: list(r["findings"]),
        told=_checked_told, names=lambda _: set(),
    ),
)  # fmt: skip
