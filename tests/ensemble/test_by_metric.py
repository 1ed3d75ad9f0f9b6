"""The metric of ``task.select_by`` chooses a whole member in place of the average only where it is surely better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plait.ensemble.averaging import Average, tempered
from plait.ensemble.by_metric import choose_whole
from plait.ensemble.scale import SCALES
from plait.tasks import TASKS

ROWS = 200


def chosen(name: str, metric: str, outputs: list[np.ndarray], target: np.ndarray, weights: list[float]) -> Average:
    task, stacked = replace(TASKS.get(name), selects=metric), np.stack(outputs)
    scale, order = SCALES.get(task.output_kind), np.arange(len(outputs))
    average = Average(np.array(weights), 1.0, 0)
    groups = np.arange(len(target))
    return choose_whole(average, stacked, lambda o: scale.loss(o, target), scale, task, target, order, groups, 0)


def saying(target: np.ndarray, wrong: int, sure: float) -> np.ndarray:
    """Probabilities of two classes, wrong on the first rows, equally sure of all."""
    said = np.where(np.arange(len(target)) < wrong, 1 - target, target)
    return np.where(np.eye(2)[said] > 0, sure, 1 - sure)


def test_a_member_that_is_surely_better_answers_alone() -> None:
    target = np.arange(ROWS) % 2
    poor, right, almost = (saying(target, wrong, sure) for wrong, sure in ((60, 0.9), (4, 0.7), (5, 0.99)))
    found = chosen("classification", "f1_macro", [poor, right, almost], target, [1.0, 0.0, 0.0])
    assert found.weights.tolist() == [0.0, 1.0, 0.0] and found.best == 1  # by F1, though the third has other losses
    assert found.temperature == tempered(right, lambda o: SCALES.get("classes").loss(o, target), SCALES.get("classes"))[0]


def test_of_equal_members_the_smaller_loss_answers() -> None:
    target = np.arange(ROWS) % 2
    poor, first = saying(target, 60, 0.9), saying(target, 4, 0.7)
    doubting = first.copy()
    doubting[:100] = 0.5 + (first[:100] - 0.5) * 0.1  # as right, with a larger loss at any temperature
    found = chosen("classification", "accuracy", [poor, doubting, first], target, [1.0, 0.0, 0.0])
    assert found.weights.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("rows", [ROWS, 18])
def test_the_average_stays_where_no_member_is_surely_better(rows: int) -> None:
    target = np.arange(rows) % 2
    wrong = rows // 3
    theirs = saying(target, wrong, 0.9) if rows == ROWS else saying(target, 17, 0.9)
    a_row_better = saying(target, wrong - 1, 0.9)
    a_row_better[-1] = a_row_better[-1, ::-1]  # mends two rows, breaks another
    a_row_better[-2] = a_row_better[-2, ::-1]
    other = a_row_better if rows == ROWS else saying(target, 0, 0.9)
    found = chosen("classification", "f1_macro", [theirs, other], target, [1.0, 0.0])
    assert found.weights.tolist() == [1.0, 0.0]


def test_a_metric_that_falls_is_read_in_its_direction() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=ROWS)
    near, far = ((target + scale * rng.normal(size=ROWS))[:, None] for scale in (0.2, 1.0))
    assert chosen("regression", "mae", [far, near], target, [1.0, 0.0]).weights.tolist() == [0.0, 1.0]
    assert chosen("regression", "mae", [near, far], target, [1.0, 0.0]).weights.tolist() == [1.0, 0.0]
