"""How a model shows itself: one line of text, and in a notebook its verdict, its metric and what each modality adds."""

from __future__ import annotations

import html

from plait.report.shown import ShownReport
from plait.training.fitted import FittedParts


def in_a_line(fitted: FittedParts) -> str:
    """What the model answers, from which modalities, by which fusion."""
    names = ", ".join(fitted.model.config.modality_names)
    what = f"{fitted.task.name} of {fitted.schema.target!r} from {names}"
    if fitted.task.judges_pairs:
        what = f"{fitted.task.name} of {' and '.join(fitted.model.config.modality_names)}"
    elif not fitted.task.needs_target:
        what = f"{fitted.task.name} among {names}"
    return f"Plait({what}; fusion {fitted.settings.fusion.name})"


def in_a_notebook(fitted: FittedParts) -> str:
    """The line, and below it the report of the run as HTML; the line alone where the model was never evaluated."""
    line = in_a_line(fitted)
    if not fitted.report.get("evaluation"):
        return f"<div>{html.escape(line)}</div>"
    return ShownReport(fitted.report, "evaluation", fitted.settings.judge.lang).html(line)
