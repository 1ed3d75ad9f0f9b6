"""Attributions and their checks, on games whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from plait.explain.inputs.attribution import exact_shapley, occlusion
from plait.explain.inputs.checks import all_checks, completeness, failures, new_heads, spearman
from plait.explain.inputs.curves import deletion_and_insertion

WEIGHTS = np.array([0.5, -2.0, 3.0, 0.0, 1.0, -0.25])


def linear(kept_VP: np.ndarray) -> np.ndarray:
    return kept_VP @ WEIGHTS + 7.0


def both_needed(kept_VP: np.ndarray) -> np.ndarray:
    return (kept_VP[:, 0] & kept_VP[:, 1]).astype(float) + 0.0 * kept_VP[:, 2]


def test_a_sum_gives_its_weights_back_by_either_way() -> None:
    np.testing.assert_allclose(occlusion(linear, 6), WEIGHTS, atol=1e-12)
    np.testing.assert_allclose(exact_shapley(linear, 6), WEIGHTS, atol=1e-12)


def test_two_that_need_each_other_share_by_shapley_and_count_twice_by_occlusion() -> None:
    np.testing.assert_allclose(exact_shapley(both_needed, 3), [0.5, 0.5, 0.0], atol=1e-12)
    lost = occlusion(both_needed, 3)
    np.testing.assert_allclose(lost, [1.0, 1.0, 0.0], atol=1e-12)
    told = completeness(lost, 1.0, 0.0, "occlusion")
    assert told["residual"] == pytest.approx(1.0) and told["passes"] is None  # occlusion promises no sum
    assert completeness(lost, 1.0, 0.0, "gradients")["passes"] is False
    assert completeness(exact_shapley(both_needed, 3), 1.0, 0.0, "shapley")["passes"] is True


def test_curves_by_hand() -> None:
    """Weights 2, 1, 1: hiding the largest first the score is 4, 2, 1, 0; showing it first 0, 2, 3, 4."""
    found = deletion_and_insertion(lambda kept: kept @ np.array([1.0, 2.0, 1.0]), np.array([1.0, 2.0, 1.0]))
    assert found["deletion"]["curve"] == [4, 2, 1, 0] and found["insertion"]["curve"] == [0, 2, 3, 4]
    assert found["deletion"]["area"] == pytest.approx(5 / 3) and found["insertion"]["area"] == pytest.approx(7 / 3)


def test_the_right_order_passes_and_the_reverse_fails() -> None:
    weights = np.linspace(-1, 3, 30)

    def scores(kept: np.ndarray) -> np.ndarray:
        return kept @ weights

    right = deletion_and_insertion(scores, weights, orders=20)
    wrong = deletion_and_insertion(scores, -weights, orders=20)
    assert right["passes"] and wrong["passes"] is False and len(right["steps"]) == 11
    assert right["deletion"]["area"] < right["deletion"]["random"] < wrong["deletion"]["area"]
    again = deletion_and_insertion(scores, weights, orders=20)
    assert again == right  # seeded


def test_what_never_moves_the_score_is_neither_right_nor_wrong() -> None:
    assert deletion_and_insertion(lambda kept: np.ones(len(kept)), np.zeros(5))["passes"] is None
    assert deletion_and_insertion(linear_two, np.array([1.0, 2.0]))["passes"] is None  # two parts say nothing


def linear_two(kept_VP: np.ndarray) -> np.ndarray:
    return kept_VP @ np.array([1.0, 2.0])


def test_rank_correlation_is_that_of_scipy() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, (2, 12)).astype(float)
        if min(a.std(), b.std()) > 0:
            assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0


def test_an_explanation_that_survives_new_heads_is_not_trusted() -> None:
    same = np.stack([WEIGHTS, 2 * WEIGHTS], axis=1)
    checks = all_checks(linear, WEIGHTS, same, 9.25, 7.0, "shapley", orders=5, seed=0)
    assert checks["new_heads"]["correlation"] == pytest.approx(1.0)
    assert [why for why in failures(checks) if "newly drawn heads" in why]
    other = np.stack([-WEIGHTS, WEIGHTS[::-1]], axis=1)
    assert failures(all_checks(linear, WEIGHTS, other, 9.25, 7.0, "shapley", orders=5, seed=0)) == []
    assert new_heads(WEIGHTS, None)["passes"] is None and "ensemble" in new_heads(WEIGHTS, None)["why"]
