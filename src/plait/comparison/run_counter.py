"""How far a comparison is: runs done of runs in all, in steps of training, for a progress bar."""

from __future__ import annotations

import math

from plait.data.progress import Progress
from plait.training import Plan


class RunCounter:
    """Counts the trainings of a comparison.

    Args:
        plan: Every run takes the number of steps of this plan.
        progress: Called with steps done, steps in all, and what runs.

    Attributes:
        steps_a_run: Steps that each run takes.
        done: Runs that were trained.
        in_all: Runs that will have been trained in the end, as far as it is known.
    """

    def __init__(self, plan: Plan, progress: Progress | None) -> None:
        settings = plan.settings.train
        assert settings.epochs is not None and settings.batch_size is not None
        self.steps_a_run = math.ceil(len(plan.train) / settings.batch_size) * settings.epochs
        self.done = self.in_all = 0
        self.progress = progress

    def watch(self, what: str) -> Progress:
        """What the training of the next run reports its steps to."""
        done = self.done * self.steps_a_run
        total = max(self.in_all, self.done + 1) * self.steps_a_run

        def report(step: int, steps: int, what: str) -> None:
            if self.progress is not None:
                self.progress(done + step, total, f"comparing: {what}")

        return report
