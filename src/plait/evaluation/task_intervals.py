"""Bootstrap intervals of a task's own metrics: on resamples at once where the task can, else resample by resample."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from plait.metrics.intervals import Floats, metric_intervals, paired_metric_difference
from plait.tasks import Task
from plait.tasks.row_metrics import resampled

Interval = dict[str, float | None]


def task_intervals(
    task: Task, target: np.ndarray, outputs: np.ndarray, *, groups: np.ndarray | None, resamples: int, seed: int,
    only: Collection[str] | None = None,
) -> dict[str, Interval]:  # fmt: skip
    """Every metric of the task with its interval.

    Args:
        task: Whose metrics.
        target: Encoded targets [N] or [N, C].
        outputs: Activated outputs [N, C].
        groups: Rows with equal values are drawn together; None: each is alone.
        resamples: How many times to draw.
        seed: Of the draws.
        only: Metrics that are wanted; None: all.
    """
    return metric_intervals(
        lambda rows: task.metrics(target[rows], outputs[rows]), len(outputs), groups=groups, resamples=resamples,
        seed=seed, resampled=resampled(task.metrics, target, outputs), only=only,
    )  # fmt: skip


def task_difference(
    name: str, ours: tuple[Task, np.ndarray], theirs: tuple[Task, np.ndarray], target: np.ndarray, *,
    groups: np.ndarray | None, resamples: int, seed: int,
) -> tuple[float | None, float | None, float | None]:  # fmt: skip
    """A metric of one model less that of another on the same rows, with the interval of the difference.

    Args:
        name: Of the metric.
        ours: Task and activated outputs [N, C] of the first model.
        theirs: Those of the second.
        target: Encoded targets.
        groups: As ``task_intervals``, like the arguments from here on.
        resamples: How many times to draw.
        seed: Of the draws.
    """

    def of_rows(task: Task, outputs: np.ndarray) -> Callable[[np.ndarray], float | None]:
        return lambda rows: task.metrics(target[rows], outputs[rows]).get(name)

    both = [resampled(task.metrics, target, outputs) for task, outputs in (ours, theirs)]

    def gap(counts_RN: Floats) -> Floats:
        first_R, second_R = (one(counts_RN, [name])[name] for one in both if one is not None)
        return first_R - second_R

    return paired_metric_difference(
        of_rows(*ours), of_rows(*theirs), len(target), groups=groups, resamples=resamples, seed=seed,
        resampled=None if None in both else gap,
    )  # fmt: skip
