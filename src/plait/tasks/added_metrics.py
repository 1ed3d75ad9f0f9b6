"""A task's own metrics and those that were added to it, measured together, point values and resamples alike.

An added metric that fails or gives no finite number is None there, and a note says why: training that took hours does
not end on a metric.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plait.metrics.intervals import Floats, Resampled
from plait.registry import first_line
from plait.settings.added_metrics import ADDED_METRICS, AddedMetric
from plait.tasks.decisions import class_decisions, label_decisions
from plait.tasks.row_metrics import RowMetrics, resampled

KINDS = ("classes", "labels", "number")  # of outputs whose metrics others can add to


WARNED: set[tuple[int, type[Warning], str]] = set()  # what metrics of others have warned of in this process


@dataclass(frozen=True)
class WithAdded:
    """Called as the metrics of a task are.

    Attributes:
        own: The task's own metrics.
        task: Its name, by which added ones are found.
        kind: Of its outputs.
        thresholds: At which decisions are made.
    """

    own: Callable[..., dict[str, Any]]
    task: str
    kind: str
    thresholds: tuple[float, ...] = ()

    def __call__(self, target: np.ndarray, outputs: np.ndarray, **options: Any) -> dict[str, Any]:
        """Named numbers of the rows, and notes."""
        found = self.own(target, outputs, **options)
        added = self.added()
        if not added:
            return found
        given, notes = self._given(target, outputs), list(found.get("notes", []))
        for name, metric in added.items():
            try:
                found[name] = _number(_asked(metric, given["target"].copy(), given[metric.of].copy()))
                why = "it gave no finite number"
            except Exception as error:  # a stranger's function may fail in any way
                found[name], why = None, f"it raised {type(error).__name__}: {first_line(error)}"
            if found[name] is None:
                notes.append(f"{name} is undefined: {why}")
        return {**found, "notes": notes}

    def added(self) -> dict[str, AddedMetric]:
        """The metrics that were added to the task, by name."""
        every = {name: ADDED_METRICS.get(name) for name in ADDED_METRICS.names()}
        return {name: metric for name, metric in every.items() if self.task in metric.tasks}

    def deciding(self, thresholds: tuple[float, ...]) -> WithAdded:
        """The metrics that decide at these thresholds."""
        own = self.own
        made = own.deciding(thresholds) if isinstance(own, RowMetrics) else partial(own, thresholds=thresholds)
        return WithAdded(made, self.task, self.kind, thresholds)

    def on_resamples(self, target: np.ndarray, outputs: np.ndarray) -> Resampled | None:
        """What measures resamples of the rows at once; None where the task's own metrics are measured singly."""
        own, added = resampled(self.own, target, outputs), self.added()
        if own is None or not added:
            return own

        def measure(counts_RN: Floats, names: Collection[str]) -> Mapping[str, Floats]:
            found = dict(own(counts_RN, names))
            given = self._given(target, outputs)
            for name in [name for name in names if name in added]:
                found[name] = np.array([_of_draw(added[name], given, counts_N) for counts_N in counts_RN])
            return found

        return measure

    def _given(self, target: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Targets, outputs and predictions as functions of others take them."""
        outputs = np.asarray(outputs, dtype=np.float64)
        if self.kind == "number":
            numbers_N = outputs[:, 0]
            return {"target": np.asarray(target).reshape(-1), "outputs": numbers_N, "predictions": numbers_N}
        decide = class_decisions if self.kind == "classes" else label_decisions
        decided = decide(outputs, self.thresholds)
        if (
            self.kind == "classes" and (target < 0).any()
        ):  # a class that training did not have: one more, never answered
            target = np.where(target < 0, outputs.shape[1], target)
            outputs = np.hstack([outputs, np.zeros((len(outputs), 1))])
        return {"target": target, "outputs": outputs, "predictions": decided.astype(np.int64)}


def _of_draw(metric: AddedMetric, given: Mapping[str, np.ndarray], counts_N: Sequence[float] | np.ndarray) -> float:
    rows = np.repeat(np.arange(len(given["target"])), np.asarray(counts_N).astype(np.int64))
    try:
        value = _number(_asked(metric, given["target"][rows], given[metric.of][rows]))
    except Exception:  # undefined on this draw, such as one of a single class
        value = None
    return math.nan if value is None else value


def _asked(metric: AddedMetric, target: np.ndarray, answers: np.ndarray) -> Any:
    """What the function gives; a warning of it is shown once, not for each of a thousand resamples."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = metric.function(target, answers)
    for one in caught:
        said = (id(metric.function), one.category, str(one.message))
        if said not in WARNED:
            WARNED.add(said)
            warnings.warn(str(one.message), one.category, stacklevel=2)
    return value


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
