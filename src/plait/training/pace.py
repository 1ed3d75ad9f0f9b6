"""How many steps a training has, and how long an epoch will take, told once some steps are done."""

from __future__ import annotations

import math

from plait.settings import TrainSettings
from plait.settings.durations import spoken

WORTH_SAYING = 60.0  # seconds; a shorter epoch is over before one wonders


def epoch_time(*, seconds: float, steps: int, steps_per_epoch: int) -> str | None:
    """The sentence for an epoch that takes a minute or more; None for others and before any step.

    Args:
        seconds: That the steps took.
        steps: So many of them.
        steps_per_epoch: Steps of a whole epoch.
    """
    if steps < 1:
        return None
    whole = seconds / steps * steps_per_epoch
    return f"an epoch takes about {spoken(whole)}" if whole >= WORTH_SAYING else None


def steps_of(rows: int, settings: TrainSettings) -> int:
    """Steps of a whole training on so many rows."""
    assert settings.epochs is not None and settings.batch_size is not None
    return math.ceil(math.ceil(rows / settings.batch_size) / settings.accumulate) * settings.epochs
