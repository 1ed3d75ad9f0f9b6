"""Greedy selection: never worse than the best member on the rows that chose, ties to the simpler, patterns."""

from __future__ import annotations

import numpy as np
import pytest

from plait.ensemble.scale import SCALES
from plait.ensemble.selection import RowLosses, patterns_of, select, select_steadily, weights_of_nothing


def squared(outputs: np.ndarray, target: np.ndarray) -> float:
    return float(((outputs[:, 0] - target) ** 2).mean())


def losses_of(target: np.ndarray) -> RowLosses:
    return lambda outputs, at: (outputs[:, 0] - target[at]) ** 2


@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_the_best_member(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=60)
    outputs = np.stack([target + rng.normal(scale=s, size=60) for s in (0.5, 0.6, 3.0, 1.0)])[..., None]
    best = min(squared(o, target) for o in outputs)
    weights = select(outputs, losses_of(target), [0, 1, 2, 3])
    steady = select_steadily(outputs, losses_of(target), [0, 1, 2, 3], np.arange(60), seed)
    for found in (weights, steady):
        assert found.sum() == pytest.approx(1.0) and (found >= 0).all()
        assert squared(np.einsum("k,knc->nc", found, outputs), target) <= best
    assert weights[2] < 0.2  # the worst one has little to say


def test_equal_members_go_to_the_simpler_one() -> None:
    outputs = np.zeros((3, 4, 1))
    outputs[:, :, 0] = [1, 2, 3, 4]
    assert select(outputs, losses_of(np.array([1.0, 2, 3, 4])), [5, 1, 3]).tolist() == [0, 1, 0]


@pytest.mark.parametrize("cells", [1, 10**6])
def test_draws_are_chosen_for_one_by_one_or_together(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen on a draw is what ``select`` chooses on the drawn rows themselves, a group of rows as a whole."""
    from plait.ensemble import selection

    rng = np.random.default_rng(3)
    target, groups = rng.normal(size=30), np.repeat(np.arange(10), 3)
    outputs = np.stack([target + rng.normal(scale=s, size=30) for s in (0.7, 0.8, 0.9)])[..., None]
    draw = np.random.default_rng([5, 30])
    units = [np.flatnonzero(groups == g) for g in range(10)]
    each = []
    for _ in range(selection.DRAWS):
        rows = np.concatenate([units[i] for i in draw.integers(0, 10, 10)])
        each.append(select(outputs[:, rows], losses_of(target[rows]), [2, 0, 1]))
    monkeypatch.setattr(selection, "MOST_CELLS", cells)
    steady = select_steadily(outputs, losses_of(target), [2, 0, 1], groups, 5)
    assert steady == pytest.approx(np.mean(each, axis=0)) and 0 < steady.min()


def test_rows_of_a_group_are_drawn_together() -> None:
    """With one group in all every draw is the rows as they are, so nothing differs from the plain choice."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=20)
    outputs = np.stack([target + rng.normal(scale=s, size=20) for s in (0.5, 0.6)])[..., None]
    plain = select(outputs, losses_of(target), [0, 1])
    steady = select_steadily(outputs, losses_of(target), [0, 1], np.zeros(20), 0)
    assert steady == pytest.approx(plain)


def test_patterns() -> None:
    nothing = np.zeros((0, 3), dtype=bool)
    assert len(patterns_of(3, nothing)) == 7 and patterns_of(3, nothing)[0] == (True, True, True)
    seen = np.array([[True, True, False, False, False, False]])
    many = patterns_of(6, seen)
    assert many[0] == (True,) * 6 and len(many) == 1 + 6 + 6 + 1 and tuple(seen[0]) in many


def test_rows_that_lack_something_say_what_a_row_with_nothing_is() -> None:
    """Class 1 loses its text, class 0 never: with nothing to read, class 1 is likely, though it is the rarer one."""
    target = np.repeat([0, 1], [300, 100])
    present = np.ones((400, 2), dtype=bool)
    shares = SCALES.get("classes").constant(target, weights_of_nothing(present), 2)
    assert shares == pytest.approx([0.75, 0.25])
    present[300:380, 0] = False
    shares = SCALES.get("classes").constant(target, weights_of_nothing(present), 2)
    assert shares == pytest.approx([15 / 100, 85 / 100])
