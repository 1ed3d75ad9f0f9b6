"""The models that were tried, best first, and what ended early. Behind ``Plait.leaderboard``."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, cast

from plait.api.describe import chosen_metric
from plait.ensemble import Ensemble
from plait.report.shown.report import frame_of
from plait.report.words import columns, number
from plait.training.fitted import FittedParts
from plait.training.unfinished import unfinished

SHOWN = ("name", "validation", "weight", "seconds", "status")
NUMBERS = SHOWN[1:4]


class Leaderboard(list[dict[str, Any]]):
    """Models, one dictionary each, that show themselves as a table: a line each, and in a notebook.

    Example:
        >>> print(Leaderboard([{"name": "linear on text", "validation": 0.81, "weight": 1.0, "status": "used"}]))
        name            validation  weight  seconds  status
        linear on text       0.810   1.000           used
    """

    def __init__(self, models: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(models)

    def frame(self) -> Any:
        """A pandas DataFrame, a row each; values of several parts, as ``metrics``, stay dictionaries.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame_of(list(self))

    def _cells(self) -> list[list[str]]:
        return [list(SHOWN)] + [[_cell(key, one.get(key)) for key in SHOWN] for one in self]

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(columns(line[k]) for line in cells) for k in range(len(SHOWN))]
        return "\n".join(
            "  ".join(
                " " * (width - columns(text)) + text if key in NUMBERS else
                text + " " * (width - columns(text))
                for key, text, width in zip(SHOWN, line, widths, strict=True)
            ).rstrip()
            for line in cells
        )  # fmt: skip

    def _repr_html_(self) -> str:
        head, *rows = ["".join(f"<td>{escape(text)}</td>" for text in line) for line in self._cells()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head.replace('td>', 'th>')}</tr></thead><tbody>{body}</tbody></table>"


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    return number(float(value)) if key in NUMBERS else " ".join(str(value).split())


def leaderboard(fitted: FittedParts) -> Leaderboard:
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
    return Leaderboard([*_members(fitted), *unfinished(fitted.report.get("budget") or {})])


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
