"""What a run began and did not carry to the end, or did not begin: the last lines of a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unfinished(budget: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tries of a search that did not go on, the best first, and steps that were left out for lack of time.

    Args:
        budget: Of a report: ``search`` and ``left_out``.

    Returns:
        Of each what a leaderboard tells of a member, with ``status`` "cut" or "left out" and the ``reason``.
    """
    cut = [one for one in budget.get("search") or [] if one["cut"] is not None or one.get("reason")]
    cut.sort(key=lambda one: (-len(one["rungs"]), one["number"]))
    lines = [
        _line(
            f"try {one['number']}",
            "search",
            "cut" if one["rungs"] else "left out",
            one.get("reason") or f"others were better in rung {one['cut']}",
        )
        | {"validation": one["validation"], "seconds": one["seconds"], "details": one["settings"]}
        for one in cut
    ]
    for one in budget.get("left_out") or []:
        needed = "" if one["needed"] is None else f", it needs about {one['needed']:g} s"
        lines.append(_line(one["what"], "step", "left out", f"no time was left{needed}"))
    return lines


def _line(name: str, kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "uses": [], "seconds": None, "megabytes": None, "details": {}, "validation": None,
        "weight": 0.0, "metrics": {}, "status": status, "reason": reason,
    }  # fmt: skip
