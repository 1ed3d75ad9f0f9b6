"""Trackio: a run in its local database, ``~/.cache/huggingface/trackio`` or where ``TRACKIO_DIR`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping

from plait.training.tracking.base import OPENERS, PROJECT, RunFacts


class TrackioRun:
    """The Trainer's callback opens the run by name and ends it; the evaluation goes on with it.

    Args:
        facts: What it is told.
    """

    environment: Mapping[str, str] = {}

    def __init__(self, facts: RunFacts) -> None:
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
        self.name, self.parameters = facts.name, dict(facts.parameters)
        self.place = os.environ.get("TRACKIO_DIR", "~/.cache/huggingface/trackio")

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Log the numbers and sentences, and end the run."""
        import trackio

        trackio.init(project=PROJECT, name=self.name, resume="allow", config=self.parameters)
        try:
            trackio.log({**{name.replace("_", "/", 1): value for name, value in numbers.items()}, **texts})
        finally:
            trackio.finish()

    def fail(self) -> None:
        """End the run, where the callback has not."""
        import trackio

        trackio.finish()


OPENERS.add("trackio", TrackioRun)
