"""Uncertainty and disagreement against numbers worked by hand, and choices whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.acquisition import (
    as_pairs,
    entropy,
    jensen_shannon,
    least_confidence,
    margin,
    pairwise_jensen_shannon,
    weighted_deviation,
)
from plait.metrics.diverse import best_of_clusters, farthest_first, gradient_plus_plus, squared_distances


def test_uncertainty_by_hand() -> None:
    rows = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert least_confidence(rows) == pytest.approx([0.5, 0.0, 2 / 3])
    assert margin(rows) == pytest.approx([0.75, 0.0, 1.0])
    assert entropy(rows) == pytest.approx([1.5 * np.log(2), 0.0, np.log(3)], abs=1e-9)
    assert margin(np.ones((2, 1))).tolist() == [0.0, 0.0]  # one class leaves no doubt


def test_labels_are_classes_of_two() -> None:
    assert as_pairs(np.array([[0.2]])).tolist() == [[[0.8, 0.2]]]


def test_disagreement_is_that_of_the_mean_minus_that_within() -> None:
    answers = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])
    own = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert jensen_shannon(answers, np.ones((2, 1))) == pytest.approx([np.log(2) - own])
    assert jensen_shannon(answers, np.array([[1.0], [0.0]])) == pytest.approx([0.0])  # one member alone agrees
    assert jensen_shannon(answers, np.zeros((2, 1))).tolist() == [0.0]
    uneven = jensen_shannon(answers, np.array([[3.0], [1.0]]))
    mean = np.array([0.7, 0.3])
    assert uneven == pytest.approx([-(mean * np.log(mean)).sum() - own])


def test_modalities_that_are_missing_do_not_disagree() -> None:
    alone = np.array([[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3, [[1.0, 0.0]] * 3])
    there = np.array([[True, True, True], [True, True, False], [True, False, False]])
    found = pairwise_jensen_shannon(alone, there)
    assert found == pytest.approx([np.log(2) * 2 / 3, np.log(2), 0.0])
    alone[1, 2] = np.nan  # what is not there is not read
    assert np.isfinite(pairwise_jensen_shannon(alone, there)).all()


def test_deviation_of_numbers() -> None:
    found = weighted_deviation(np.array([[1.0, 1.0], [3.0, np.nan]]), np.array([[1.0, 1.0], [3.0, 0.0]]))
    assert found == pytest.approx([np.sqrt(0.75), 0.0])


def test_farthest_first_keeps_away_from_what_is_labelled() -> None:
    line = np.array([[0.0], [1.0], [2.0], [10.0]])
    chosen, distances = farthest_first(line, 2, np.array([[9.0]]))
    assert chosen == [0, 2] and distances == pytest.approx([9.0, 2.0])
    chosen, _ = farthest_first(line, 9, np.empty((0, 1)), first=1)
    assert chosen[0] == 1 and sorted(chosen) == [0, 1, 2, 3]  # never twice
    assert squared_distances(line, line[:1]) == pytest.approx([0.0, 1.0, 4.0, 100.0])


def test_gradients_are_those_of_the_outer_product() -> None:
    """k-means++ never draws a row whose gradient is that of a chosen one, and begins with the largest."""
    rng = np.random.default_rng(0)
    residual, vectors = rng.normal(size=(30, 3)), rng.normal(size=(30, 4))
    whole = np.einsum("nc,nd->ncd", residual, vectors).reshape(30, -1)
    first = gradient_plus_plus(residual, vectors, 1, rng)
    assert first == [int((whole**2).sum(1).argmax())]
    twice = np.concatenate([residual[:2]] * 5), np.concatenate([vectors[:2]] * 5)
    chosen = gradient_plus_plus(*twice, 2, np.random.default_rng(1))
    assert {place % 2 for place in chosen} == {0, 1}
    assert sorted(gradient_plus_plus(*twice, 20, np.random.default_rng(1))) == list(range(10))


def test_one_of_each_cluster() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    rows = np.concatenate([m + rng.normal(size=(20, 2)) for m in middles])
    score = rng.random(60)
    chosen, sizes = best_of_clusters(rows, score, 3, 0)
    assert sorted(c // 20 for c in chosen) == [0, 1, 2] and sizes.tolist() == [20, 20, 20]
    assert all(score[c] == score[c // 20 * 20 : c // 20 * 20 + 20].max() for c in chosen)
    assert chosen == sorted(chosen, key=lambda c: -score[c])
    assert best_of_clusters(rows, score, 3, 0)[0] == chosen  # the same seed, the same rows
    same = best_of_clusters(np.zeros((5, 2)), np.ones(5), 3, 0)[0]
    assert same == [0]  # rows that do not differ are one cluster
