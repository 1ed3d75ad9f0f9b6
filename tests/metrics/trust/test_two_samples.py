"""Two-sample tests: rarely an alarm on one source, always on two; distances to known rows."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.trust.column_drift import category_test, missing_test, number_test
from plait.metrics.trust.foreign_rows import (
    Mahalanobis,
    energy,
    false_positive_rate,
    foreign_auroc,
    foreignness,
    nearest_distance,
)
from plait.metrics.trust.slices import slice_gaps
from plait.metrics.trust.two_samples import classifier_test, discrepancy_test, holm


def test_one_source_and_two() -> None:
    false = np.zeros(2)
    for seed in range(20):
        draw = np.random.default_rng(seed)
        a, b = draw.normal(size=(60, 8)), draw.normal(size=(50, 8))
        false += [classifier_test(a, b, seed=seed).p < 0.01, discrepancy_test(a, b, shuffles=200, seed=seed).p < 0.01]
    assert (false <= 1).all()
    told, gap = classifier_test(a, b + 1), discrepancy_test(a, b + 1, shuffles=200)
    assert told.p < 1e-3 and told.value > 0.8 and told.low < told.value <= told.high and gap.p == 1 / 201


def test_the_discrepancy_is_the_unbiased_one() -> None:
    """Equation 3 of Gretton et al. 2012, by its double sums."""
    draw = np.random.default_rng(1)
    a, b = draw.normal(size=(20, 3)), draw.normal(size=(22, 3)) + 0.5
    both = np.concatenate([a, b])
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    squared = np.square(both[:, None] - both[None]).sum(axis=2)
    kernel = np.exp(-squared / np.median(squared[np.triu_indices(42, 1)]))
    of_a = (kernel[:20, :20].sum() - 20) / (20 * 19)
    of_b = (kernel[20:, 20:].sum() - 22) / (22 * 21)
    assert discrepancy_test(a, b, shuffles=9).value == pytest.approx(of_a + of_b - 2 * kernel[:20, 20:].mean())


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="20 of each"):
        classifier_test(np.zeros((19, 2)), np.zeros((30, 2)))


def test_columns() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=300), draw.normal(size=300)
    assert number_test(x.tolist(), y.tolist()).p > 0.01 > number_test(x.tolist(), (y + 0.6).tolist()).p
    found = category_test(["a"] * 50 + ["b"] * 50, ["a"] * 90 + ["b"] * 10)
    assert found.value == pytest.approx(0.4) and found.p < 1e-6 and "50.0% of A" in found.detail
    assert missing_test([False] * 50, [True] * 20 + [False] * 30).p < 1e-4
    assert missing_test([False], [False]) is None and category_test(["a"], ["a"] * 3) is None
    assert holm([0.01, 0.04, 0.03]).round(3).tolist() == [0.03, 0.06, 0.06]


def test_distances_by_hand() -> None:
    assert energy([[np.log(3.0), 0.0]])[0] == pytest.approx(-np.log(4))
    draw = np.random.default_rng(0)
    label = np.repeat([0, 1], 300)
    known = draw.normal(size=(600, 3)) * [1, 2, 3] + label[:, None] * 20
    model = Mahalanobis.fit(known, label)
    assert model.distance([[20, 24, 20]])[0] == pytest.approx(4, rel=0.25)  # two deviations of the second column
    assert model.distance(known).mean() == pytest.approx(3, rel=0.1)  # as many as columns
    assert nearest_distance([[0.0], [1.0], [3.0]], [[4.0]], nearest=2).tolist() == [2.0]
    assert nearest_distance([[0.0], [1.0], [3.0]], nearest=1).tolist() == [1.0, 1.0, 2.0]
    assert foreignness([1, 2, 3], [2.5, 9]).tolist() == [0.5, 0.25]
    assert foreign_auroc([1, 2], [2, 3]) == pytest.approx(0.875)
    assert false_positive_rate(np.arange(100), [50, 94, 95, 200]) == 0.5


def test_slices_with_a_real_gap_only() -> None:
    draw = np.random.default_rng(0)
    right = (draw.random(400) < 0.8).astype(float)
    found = [("column", str(k), draw.choice(400, 100, replace=False)) for k in range(20)]
    assert not any(gap.is_real for gap in slice_gaps(right, found))
    right[:60] = draw.random(60) < 0.2
    gaps = slice_gaps(right, [*found, ("bad", "yes", np.arange(60)), ("few", "yes", np.arange(5))])
    assert gaps[0].column == "bad" and gaps[0].is_real and gaps[0].high < 0 and len(gaps) == 21
    assert not any(gap.is_real for gap in slice_gaps(np.ones(40), [("c", "x", np.arange(20))]))
