"""The models that were tried, best first, and what ended early. Behind ``Plait.leaderboard``."""

from __future__ import annotations

from typing import Any, cast

from plait.api.describe import chosen_metric
from plait.ensemble import Ensemble
from plait.training.fitted import FittedParts
from plait.training.unfinished import unfinished


def leaderboard(fitted: FittedParts) -> list[dict[str, Any]]:
    """See ``Plait.leaderboard``.

    Returns:
        Of each: ``name``, ``kind``, ``uses`` (modalities), ``weight`` in the answers where everything is there,
        ``validation`` (primary metric on rows that it had not seen), ``seconds``, ``megabytes`` and ``details``;
        ``metrics`` of evaluated rows, once the model was evaluated, and ``chosen_metric``, the one of them that epochs
        were chosen by (name and value, with ``low`` and ``high`` of its 95% interval; None: the primary one);
        ``status``: "used" (has a weight under some pattern of what is there), "not chosen", "cut" (a try of a
        search that did not go on) or "left out" (no time), and ``reason``, None for the first two. A model that was
        left out has no numbers (None).
    """
    return [*_members(fitted), *unfinished(fitted.report.get("budget") or {})]


def _members(fitted: FittedParts) -> list[dict[str, Any]]:
    """The members of the ensemble, the best on validation rows first."""
    if fitted.ensemble is None:
        return []
    told = {m["name"]: m for m in fitted.report.get("evaluation", {}).get("members", [])}
    found = cast(Ensemble, fitted.ensemble).leaderboard()
    sign = -1 if fitted.task.higher_is_better else 1
    found.sort(key=lambda m: (m["validation"] is None, sign * (m["validation"] or 0.0)))
    chosen = chosen_metric(fitted)
    return [
        {**m, "metrics": known.get("metrics", {}), "chosen_metric": _of_chosen(known, chosen), "reason": None}
        for m in found for known in [told.get(m["name"], {})]
    ]  # fmt: skip


def _of_chosen(told: dict[str, Any], name: str | None) -> dict[str, Any] | None:
    """The metric that the user chose, of an evaluated member; bounds are None where they were not measured."""
    if name is None or name not in told.get("metrics", {}):
        return None
    bounds = told.get("intervals", {}).get(name, {})
    return {"name": name, "value": told["metrics"][name], "low": bounds.get("low"), "high": bounds.get("high")}
