"""Rows as retrieval tasks, worked by hand: who asks, what may be found, what cannot be measured."""

from __future__ import annotations

import numpy as np

from plait.metrics.retrieval_directions import directions_of, distinct_items, measure_direction


def test_items_count_once_a_group() -> None:
    index = np.array([0, 0, 1, -1, 1, 2])
    assert distinct_items(index, np.array([0, 0, 0, 1, 1, 1])).tolist() == [0, 2, 4, 5]


def test_two_modalities_by_hand() -> None:
    """Rows 0 and 1 show one picture with two texts; row 2 has both, row 3 a text without any picture of its group."""
    index = np.array([[0, 0], [1, 0], [2, 1], [3, -1]])
    group = np.array([0, 0, 1, 2])
    there, back = directions_of(["text", "image"], index, group)
    assert (there.name, back.name) == ("text_to_image", "image_to_text")
    assert there.queries.tolist() == [0, 1, 2] and there.items.tolist() == [0, 2] and there.num_unanswered == 1
    assert back.queries.tolist() == [0, 2] and back.items.tolist() == [0, 1, 2, 3] and back.num_unanswered == 0
    assert there.is_measurable and back.is_measurable
    unit = np.zeros((4, 2, 2))
    unit[:, 0] = [[1, 0], [0, 1], [0, 1], [1, 0]]
    unit[:, 1] = [[1, 0], [1, 0], [0, 1], [0, 0]]
    # the text of row 1 points at the picture of row 2, those of rows 0 and 2 at their own
    assert measure_direction(there, unit, group)["hit_rate@1"].tolist() == [1.0, 0.0, 1.0]


def test_one_group_cannot_be_measured() -> None:
    index = np.array([[0, 0], [1, 1]])
    assert not any(d.is_measurable for d in directions_of(["text", "image"], index, np.array([5, 5])))
    lonely = directions_of(["text", "image"], np.array([[0, -1], [1, -1], [-1, 0]]), np.array([0, 1, 2]))
    assert [(d.num_unanswered, d.is_measurable) for d in lonely] == [(2, False), (1, False)]
