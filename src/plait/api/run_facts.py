"""What trackers are told when a run begins: a name of its own, and every resolved setting."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from plait import __version__
from plait.api.places import name_of
from plait.settings import RunSettings, to_dict
from plait.training.tracking.base import RunFacts, flat_settings


def run_facts(settings: RunSettings, output: str | Path | None) -> RunFacts:
    """Facts of a run: named after the model's folder, or the target, and the second in which it began.

    Args:
        settings: Resolved.
        output: The model's folder.
    """
    source = settings.data.source
    data = replace(settings.data, source=None if source is None else name_of(source))
    folder = None if output is None else Path(output)
    base = folder.absolute().name if folder is not None else settings.data.target or settings.task.name or "run"
    name = f"{base}-{time.strftime('%Y%m%d-%H%M%S')}"
    return RunFacts(name, {"plait": __version__, **flat_settings(to_dict(replace(settings, data=data)))}, folder)
