"""The section of the page on what a run's time went to, what was left out for lack of it, and what a search tried."""

from __future__ import annotations

from typing import Any

from plait.report.template import fill
from plait.report.words import number

TEMPLATE = "report/budget.html.jinja"


def section(report: dict[str, Any]) -> str:
    """A table of steps with their seconds, one of what was left out, and one of tries."""
    budget = report.get("budget") or {}
    if not budget:
        return ""
    lead = ""
    if budget.get("limit"):
        lead = f"{number(budget.get('seconds'))} of {number(budget['limit'])} seconds were used."
    tries = [
        {**t, "changes": _changes(t.get("settings") or {}), "ended": _ended(t)} for t in budget.get("search") or []
    ]
    return fill(
        TEMPLATE, "section", lead=lead, tried=budget.get("tried") or [], left_out=budget.get("left_out") or [],
        cut=budget.get("cut") or [], tries=tries,
    )  # fmt: skip


def _changes(settings: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in settings.items()) or "the given settings"


def _ended(one: dict[str, Any]) -> str:
    """How far a try came."""
    return str(one.get("reason") or ("trained in full" if one.get("cut") is None else f"cut after rung {one['cut']}"))
