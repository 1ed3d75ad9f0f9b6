"""Conformal prediction: the exact quantile, coverage as theory has it, by pattern too, scores by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from plait.metrics.trust import (
    aps_scores,
    conformal_quantile,
    coverage_by_group,
    group_quantiles,
    lac_scores,
    pooled_groups,
    prediction_sets,
    quantile_interval_scores,
    raps_scores,
    scores_of_truth,
)
from plait.metrics.trust.conformal import fewest_rows, quantile_rank


def test_the_quantile_is_the_right_order_statistic() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    assert conformal_quantile(scores, 0.9) == 18.0  # ceil(20 * .9)
    assert conformal_quantile(scores, 0.95) == 19.0 and conformal_quantile(scores, 0.96) == math.inf
    assert [fewest_rows(c) for c in (0.8, 0.9, 0.95, 0.99)] == [4, 9, 19, 99]
    assert conformal_quantile([], 0.5) == math.inf
    assert quantile_rank(9, 0.9) == 9 and quantile_rank(99, 0.07) == 7  # 100 * .07 is 7.000000000000001 in floats
    for wrong in (0.0, 1.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            conformal_quantile(scores, wrong)
    with pytest.raises(ValueError, match="NaN"):
        conformal_quantile([1.0, math.nan], 0.5)


@pytest.mark.parametrize("n", [*range(10, 23), 50, 100])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_follows_its_beta_distribution(n: int, coverage: float) -> None:
    draws = np.random.default_rng([n, round(100 * coverage)]).random((4000, n))
    covered = np.array([conformal_quantile(row, coverage) for row in draws])  # of uniform scores it is the coverage
    k = quantile_rank(n, coverage)
    sd = math.sqrt(k * (n + 1 - k) / ((n + 1) ** 2 * (n + 2)))
    assert covered.mean() == pytest.approx(k / (n + 1), abs=4 * sd / math.sqrt(4000))
    assert covered.std() == pytest.approx(sd, rel=0.08)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("scores", [lac_scores, aps_scores, raps_scores])
def test_sets_cover_over_a_hundred_splits_in_every_pattern(coverage: float, scores: object) -> None:
    rng = np.random.default_rng(7)
    count, calibrating = 4000, 400
    pattern = (rng.random(count) < 0.4).astype(int)
    logits = rng.normal(size=(count, 4)) * np.where(pattern, 0.5, 3.0)[:, None]
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    proba = np.exp(logits * 1.7) / np.exp(logits * 1.7).sum(1, keepdims=True)  # too sure
    share = rng.random(count) if scores is not lac_scores else 0.0
    given = scores(proba, share) if scores is not lac_scores else lac_scores(proba)  # type: ignore[operator]
    own = scores_of_truth(given, truth)
    covered: dict[int, list[float]] = {0: [], 1: []}
    expected: dict[int, list[tuple[int, int, int]]] = {0: [], 1: []}
    for _ in range(100):
        order = rng.permutation(count)
        cal, new = order[:calibrating], order[calibrating:]
        limit = group_quantiles(own[cal], pattern[cal].tolist(), coverage)
        inside = prediction_sets(given[new], np.array([limit[p] for p in pattern[new]]))
        found = coverage_by_group(inside[np.arange(len(new)), truth[new]], pattern[new].tolist())
        for p in (0, 1):
            covered[p].append(found[p]["covered"])
            n = int((pattern[cal] == p).sum())
            expected[p].append((quantile_rank(n, coverage), n, found[p]["rows"]))
    for p in (0, 1):
        means = np.array([k / (n + 1) for k, n, _ in expected[p]])
        # variance of one split: Beta(k, n + 1 - k), and the binomial of the rows that are judged
        sds = np.array([math.sqrt(k * (n + 1 - k) / ((n + 1) ** 2 * (n + 2)) + 0.25 / m) for k, n, m in expected[p]])
        inside_share = np.mean(np.abs(np.array(covered[p]) - means) <= 2.2 * sds)
        assert inside_share >= 0.9, (p, inside_share)
        assert abs(np.mean(covered[p]) - means.mean()) < 0.012
        assert np.mean(covered[p]) > coverage - 0.01


def test_the_plain_quantile_would_not_cover() -> None:
    draws = np.random.default_rng(0).random((4000, 9))
    assert np.quantile(draws, 0.9, axis=1).mean() == pytest.approx(0.82, abs=0.01)
    assert np.mean([conformal_quantile(row, 0.9) for row in draws]) == pytest.approx(0.9, abs=0.01)


def test_scores_by_hand() -> None:
    proba = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(lac_scores(proba), [[0.8, 0.5, 0.7]])
    np.testing.assert_allclose(aps_scores(proba), [[0.8, 0.0, 0.5]], atol=1e-12)
    np.testing.assert_allclose(aps_scores(proba, 1.0), [[1.0, 0.5, 0.8]], atol=1e-12)
    np.testing.assert_allclose(raps_scores(proba, penalty=0.1, free=1), [[1.0, 0.0, 0.6]], atol=1e-12)
    assert scores_of_truth(lac_scores(proba), [-1]).tolist() == [math.inf]
    assert aps_scores(np.array([[0.5, 0.5]])).tolist() == [[0.0, 0.5]]
    assert prediction_sets(aps_scores(proba), 0.5).tolist() == [[False, True, True]]
    assert quantile_interval_scores([0, 0], [1, 1], [0.4, 3.0]).tolist() == [-0.4, 2.0]


def test_an_infinite_limit_lets_everything_in() -> None:
    assert prediction_sets(lac_scores([[1.0, 0.0]]), math.inf).all()
    assert not prediction_sets(lac_scores([[1.0, 0.0]]), math.nan).any()


def test_patterns_with_few_rows_are_pooled_with_each_other_first() -> None:
    groups = ["a"] * 60 + ["b"] * 30 + ["c"] * 30
    found = pooled_groups(groups, fewest=50)
    assert found["a"].tolist() == list(range(60)) and found["b"].tolist() == list(range(60, 120))
    assert found["b"].tolist() == found["c"].tolist()
    alone = pooled_groups(["a"] * 60 + ["b"] * 30, fewest=50)
    assert alone["a"].tolist() == list(range(60)) and len(alone["b"]) == 90  # too few together too: all rows
