"""How a model shows itself: one line of text, and in a notebook its verdict, its metric and what each modality adds."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, cast

from plait.ensemble.base import FUSED
from plait.report.shown import ShownReport
from plait.training.fitted import FittedParts

if TYPE_CHECKING:
    from plait.ensemble import Ensemble

MOST_NAMED = 3


def in_a_line(fitted: FittedParts) -> str:
    """What the model answers, from which modalities, and who answers: the models of an ensemble, or the fusion."""
    names = ", ".join(fitted.model.config.modality_names)
    what = f"{fitted.task.name} of {fitted.schema.target!r} from {names}"
    if fitted.task.judges_pairs:
        what = f"{fitted.task.name} of {' and '.join(fitted.model.config.modality_names)}"
    elif not fitted.task.needs_target:
        what = f"{fitted.task.name} among {names}"
    return f"Plait({what}; {_who_answers(fitted)})"


def _who_answers(fitted: FittedParts) -> str:
    """Members with a weight where everything is there, the heaviest first; the fusion where there is one network."""
    fusion = f"fusion {fitted.settings.fusion.name}"
    if fitted.ensemble is None:
        return fusion
    members = sorted(cast("Ensemble", fitted.ensemble).leaderboard(), key=lambda one: -one["weight"])
    weights = [f"{one['name']} {one['weight']:.2f}" for one in members if one["weight"] > 0]
    if len(weights) == 1 and members[0]["name"] == FUSED:
        return fusion
    rest = [f"{len(weights) - MOST_NAMED} more"] if len(weights) > MOST_NAMED else []
    return f"answered by {', '.join(weights[:MOST_NAMED] + rest)}"


def in_a_notebook(fitted: FittedParts) -> str:
    """The line, and below it the report of the run as HTML; the line alone where the model was never evaluated."""
    line = in_a_line(fitted)
    if not fitted.report.get("evaluation"):
        return f"<div>{html.escape(line)}</div>"
    return ShownReport(fitted.report, "evaluation", fitted.settings.judge.lang).html(line)
