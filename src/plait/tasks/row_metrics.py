"""Metrics of a task on rows, and the same on many bootstrap resamples of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plait.metrics.intervals import Resampled

MOST_CELLS = 5_000_000  # outputs; of more the resamples are measured one by one


@dataclass(frozen=True)
class RowMetrics:
    """Called as the metrics of a task are, with encoded targets and activated outputs.

    Attributes:
        on_rows: Targets and outputs to named numbers.
        on_resamples: Targets and outputs to what measures resamples of them; the same metrics.
    """

    on_rows: Callable[..., dict[str, Any]]
    on_resamples: Callable[..., Resampled]

    def __call__(self, target: np.ndarray, outputs: np.ndarray, **options: Any) -> dict[str, Any]:
        """Named numbers of the rows."""
        return self.on_rows(target, outputs, **options)

    def deciding(self, thresholds: tuple[float, ...]) -> RowMetrics:
        """The metrics that decide at these thresholds."""
        return RowMetrics(*(partial(one, thresholds=thresholds) for one in (self.on_rows, self.on_resamples)))


def resampled(metrics: Callable[..., dict[str, Any]], target: np.ndarray, outputs: np.ndarray) -> Resampled | None:
    """What measures resamples of the rows at once; None where these metrics, or so many outputs, are measured singly.

    Args:
        metrics: Of a task.
        target: Encoded targets, as they are given to the metrics [N] or [N, C].
        outputs: Activated outputs [N, C].
    """
    measure: Callable[[np.ndarray, np.ndarray], Resampled | None] | None = getattr(metrics, "on_resamples", None)
    return None if measure is None or outputs.size > MOST_CELLS else measure(target, outputs)
