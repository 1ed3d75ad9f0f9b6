"""Balanced pairs tell nothing of one side alone; others do."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.balance import largest_excess, tells_nothing_alone
from plait.data.pairs import make_pairs
from plait.data.table import read_table


def test_excess_by_hand() -> None:
    items = np.array([[0, 0], [0, 1], [1, 1], [1, 2]])
    assert largest_excess(items, np.array([1, 0, 1, 0])) == pytest.approx(0.25)  # items 0 and 2 of the second side
    assert largest_excess(items[:, :1], np.array([1, 0, 1, 0])) == 0.0
    assert largest_excess(np.array([[-1], [0], [0]]), np.array([1, 1, 0])) == 0.0  # a missing item tells nothing
    assert largest_excess(items[:, :1], np.array([1, 1, 0, 0])) == 0.5


def test_drawn_pairs_are_balanced_and_unique_items_are_not() -> None:
    photos = [{"image": f"{i // 3}.png", "caption": f"text {i}", "image_id": i // 3} for i in range(30)]
    pairs = make_pairs(read_table(photos))
    index = np.stack([np.unique(pairs.column(c), return_inverse=True)[1] for c in ("image", "caption")], axis=1)
    right = np.array(pairs.column("match"))
    assert tells_nothing_alone(index, right)
    assert not tells_nothing_alone(np.arange(60).reshape(-1, 1), right)
    assert not tells_nothing_alone(index[:0], right[:0])
