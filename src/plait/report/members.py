"""The section of the page on an ensemble: its members, and what answers each pattern of what is there."""

from __future__ import annotations

from typing import Any

from plait.report.languages import tr
from plait.report.template import fill
from plait.report.words import listed, metric_name, number, span

TEMPLATE = "report/members.html.jinja"
WEIGHTS = (  # of plait.ensemble.selection: DRAWS and LEAST_WEIGHT
    "A weight is a share of the joint answer, the mean over 20 choices on rows drawn anew; less than 0.02 counts as "
    "nothing. A small one says that few of these choices took the model: it moves an answer by that share of the "
    "difference between its own and that of the others. A dash: it answers no row that has everything, but may answer "
    "where something is missing (second table)."
)


def section(report: dict[str, Any]) -> str:
    """A table of the members, and one of the patterns."""
    evaluation = report.get("evaluation") or {}
    members = evaluation.get("members") or []
    if not members:
        return ""
    metric = str((report.get("metric") or {}).get("name") or "")
    chosen = sum(1 for m in members if m.get("weight"))
    folds = max((int((m.get("details") or {}).get("folds", 1)) for m in members), default=1)
    how = "on validation rows" if folds == 1 else f"on the rows that each of {folds} models of a kind had not seen"
    lead = (
        f"{number(len(members))} models were tried, {number(chosen)} answer together where everything is there. They "
        f"were chosen {how}, for every pattern of what is there."
    )
    higher = (report.get("metric") or {}).get("higher_is_better", True)
    listed = sorted(members, key=lambda m: _order(m.get("validation"), higher))
    rows = [{**m, "chosen": _details(m.get("details") or {})} for m in listed]
    return fill(
        TEMPLATE, "section", lead=lead, weights=WEIGHTS, metric=metric, name=metric_name(metric), members=rows,
        patterns=evaluation.get("patterns") or [],
    )  # fmt: skip


def _order(value: float | None, higher: bool) -> tuple[bool, float]:
    return value is None, 0.0 if value is None else -value if higher else value


def _details(details: dict[str, Any]) -> str:
    """What was chosen for a member, in a few words."""
    parts = []
    for name, value in details.items():
        if value is None or value is False or name == "folds":
            continue
        if value is True:
            parts.append(tr(name, "detail"))
        elif isinstance(value, list):
            known = sorted({v for v in value if isinstance(v, int | float) and not isinstance(v, bool)})
            if len(known) > 1:
                parts.append(f"{tr(name, 'detail')} {span(known[0], known[-1])}")
        else:
            parts.append(f"{tr(name, 'detail')} {tr(value, 'detail') if isinstance(value, str) else number(value)}")
    return listed(parts)
