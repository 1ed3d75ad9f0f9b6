"""Recombined rows are answered from memory where the same items were asked for before."""

from __future__ import annotations

import numpy as np
import pytest

from plait.explain import asked_once
from plait.explain.asked_once import AskedOnce


def test_each_combination_is_computed_once() -> None:
    seen: list[tuple[int, ...]] = []

    def scores_of(items: np.ndarray) -> np.ndarray:
        seen.extend(map(tuple, items.tolist()))
        return np.stack([items @ [1.0, 10.0, 100.0], items[:, 0] * 0.5], axis=1)

    once = AskedOnce(scores_of, np.array([4, 3, 2]))
    rng = np.random.default_rng(0)
    for _ in range(30):
        asked = np.stack([rng.integers(-1, n, 50) for n in (4, 3, 2)], axis=1)
        expected = np.stack([asked @ [1.0, 10.0, 100.0], asked[:, 0] * 0.5], axis=1)
        assert np.array_equal(once(asked), expected)
    assert len(seen) == len(set(seen)) == once.computed <= 5 * 4 * 3


def test_what_would_not_fit_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_once, "MOST_KEPT", 3)
    once = AskedOnce(lambda items: items.astype(float), np.array([9]))
    for _ in range(2):
        assert once(np.array([[1], [2], [1], [-1], [5]])).tolist() == [[1], [2], [1], [-1], [5]]
    assert once.computed == 8
    huge = AskedOnce(lambda items: items.astype(float), np.array([2**40, 2**40]))
    assert huge(np.array([[2**39, -1]])).tolist() == [[float(2**39), -1.0]]
