"""Every task whose metrics measure resamples at once measures them as it measures rows; thresholds go along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plait.tasks import TASKS
from plait.tasks import row_metrics as module
from plait.tasks.row_metrics import RowMetrics, resampled

TOLD = [name for name in TASKS if isinstance(getattr(TASKS.get(name).metrics, "own", None), RowMetrics)]


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs, of classes some that training did not have where the task may meet them."""
    rng, task = np.random.default_rng(1), TASKS.get(name)
    if task.output_kind == "number":
        return rng.normal(size=20), rng.normal(size=(20, 1))
    if task.output_kind == "labels":
        return (rng.random((20, 3)) < 0.4).astype(np.float32), rng.random((20, 3))
    classes = 2 if task.judges_pairs else 3
    least = 0 if task.needs_known_class or task.judges_pairs else -1
    return rng.integers(least, classes, 20), rng.dirichlet(np.ones(classes), 20)


def test_all_that_have_metrics_of_rows() -> None:
    assert {"classification", "ordinal", "matching", "vqa", "multilabel", "regression"} <= set(TOLD)


@pytest.mark.parametrize("name", TOLD)
def test_resamples_are_measured_as_rows_are(name: str) -> None:
    target, outputs = rows_of(name)
    task = TASKS.get(name)
    limits = {"labels": (0.2, 0.5, 0.8)}.get(task.output_kind, (0.3,) if outputs.shape[1] == 2 else (0.2, 0.5, 0.3))
    tasks = [task] if task.metrics_at is None else [task, task.deciding(limits)]
    points = []
    for one in tasks:
        point = one.metrics(target, outputs)
        on = resampled(one.metrics, target, outputs)
        assert on is not None
        names = [k for k in point if k != "notes"]
        counts = np.random.default_rng(0).integers(0, 3, (4, 20)).astype(float)
        found = on(np.vstack([np.ones(20), counts]), names)
        assert {k: float(v[0]) for k, v in found.items() if k in names} == pytest.approx({k: point[k] for k in names})
        for draw, count in enumerate(counts, start=1):
            at = np.repeat(np.arange(20), count.astype(int))
            value = one.metrics(target[at], outputs[at])[task.primary]
            assert found[task.primary][draw] == pytest.approx(value)
        points.append(point)
    assert len(points) == 1 or points[0] != points[1]


def test_metrics_of_ones_own_and_very_many_outputs_are_measured_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    target, outputs = rows_of("classification")
    task = TASKS.get("classification")
    own = replace(task, metrics=lambda target, outputs: {"mine": 1.0})
    assert resampled(own.metrics, target, outputs) is None
    monkeypatch.setattr(module, "MOST_CELLS", outputs.size - 1)
    assert resampled(task.metrics, target, outputs) is None
