"""Weights & Biases: an offline run in ``wandb/``, or as ``WANDB_MODE`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping

from plait.training.tracking.base import OPENERS, PROJECT, RunFacts


class WandbRun:
    """A run that is open until the evaluation; one that the user has open is used and left open.

    Args:
        facts: What it is told.
    """

    environment: Mapping[str, str] = {}

    def __init__(self, facts: RunFacts) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        self.is_ours = wandb.run is None
        mode = os.environ.get("WANDB_MODE", "offline")
        self.run = wandb.run or wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=facts.name, mode=mode, config=dict(facts.parameters)
        )
        if not self.is_ours:
            self.run.config.update(dict(facts.parameters), allow_val_change=True)
        self.name = str(self.run.name)
        self.place = os.path.dirname(self.run.dir) if mode == "offline" else str(self.run.url)

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Put numbers and sentences into the summary, and end the run."""
        self.run.summary.update({**numbers, **texts})
        if self.is_ours:
            self.run.finish()

    def fail(self) -> None:
        """End the run as failed."""
        if self.is_ours:
            self.run.finish(exit_code=1)


OPENERS.add("wandb", WandbRun)
