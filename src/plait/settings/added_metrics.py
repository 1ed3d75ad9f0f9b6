"""Metrics that plug-ins or programs of their own add to tasks: their names, directions and what they are given.

They stand this low so that settings can name them; tasks measure them (:mod:`plait.tasks.added_metrics`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plait.registry import Registry

OF = ("outputs", "predictions")
LOWER_IS_BETTER = ("log_loss", "mae", "rmse", "hamming")  # of Plait's own


@dataclass(frozen=True)
class AddedMetric:
    """A metric that is measured beside a task's own.

    Attributes:
        function: (targets, what ``of`` says) to a number, or None where it is undefined.
        tasks: Names of the tasks that it belongs to.
        higher_is_better: Its direction.
        of: "outputs" (probabilities, predicted numbers) or "predictions" (decided classes, label sets, numbers).
    """

    function: Callable[[Any, Any], float | None]
    tasks: tuple[str, ...]
    higher_is_better: bool = True
    of: str = "outputs"


ADDED_METRICS: Registry[AddedMetric] = Registry("metric", is_open=True)


def is_lower_better(name: str) -> bool:
    """Whether the lower value of a metric is the better one, by its name."""
    return name in LOWER_IS_BETTER or (name in ADDED_METRICS.names() and not ADDED_METRICS.get(name).higher_is_better)
