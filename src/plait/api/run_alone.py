"""What must be said where naming a fusion made one network answer, in place of several models together."""

from __future__ import annotations

from plait.settings import RunSettings
from plait.tasks import Task


def alone_notes(asked: RunSettings, settings: RunSettings, task: Task) -> list[str]:
    """One note, or none: whoever names no fusion gets several models, which a named one turns off.

    Args:
        asked: The settings of the user, before they were filled in.
        settings: Those of the run.
        task: What is learned; models answer together for classes, label sets and numbers.
    """
    named = asked.fusion.name
    is_silent = asked.preset is None and asked.ensemble.members is None and asked.recipe == "default"
    if named is None or not is_silent or settings.preset != "single" or not answer_together(task):
        return []
    return [
        f"fusion={named!r} answers alone, since it was named; type preset='fast' to have other models answer together "
        "with it"
    ]


def answer_together(task: Task) -> bool:
    """Whether models of this task can answer together."""
    return task.output_kind in ("classes", "labels", "number")
