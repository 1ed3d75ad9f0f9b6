"""Halves of validation rows: even in every class, whole in every group."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.lazy import lazy

two_halves = lazy("plait.comparison.halves", "two_halves")


def test_every_class_is_shared_out() -> None:
    target = np.array([0] * 40 + [1] * 5 + [2] * 2)
    a, b = two_halves(target, np.arange(47))
    assert sorted([*a, *b]) == list(range(47)) and abs(len(a) - len(b)) <= 3
    counts = np.stack([np.bincount(target[h], minlength=3) for h in (a, b)])
    assert (abs(counts[0] - counts[1]) <= 1).all() and (counts > 0).all()


def test_groups_stay_whole() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 20, 100)
    target = rng.integers(0, 3, 100)
    a, b = two_halves(target, group)
    assert not set(group[a]) & set(group[b])
    counts = np.stack([np.bincount(target[h], minlength=3) for h in (a, b)])
    assert abs(counts[0] - counts[1]).max() <= 6


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_other_targets(kind: str) -> None:
    rng = np.random.default_rng(0)
    target = (rng.random((60, 3)) < 0.3).astype(np.float32) if kind == "labels" else rng.normal(size=60)
    a, b = two_halves(target, np.arange(60))
    assert abs(len(a) - len(b)) <= 4
    assert abs(target[a].mean(0) - target[b].mean(0)).max() < 0.2
