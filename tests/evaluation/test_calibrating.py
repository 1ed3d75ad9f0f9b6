"""Which calibration rows tune and which score."""

from __future__ import annotations

import numpy as np

from fixtures.lazy import lazy

deal = lazy("plait.evaluation.trust.calibrating", "deal")


def test_a_third_of_the_groups_tunes_and_each_other_group_scores_once() -> None:
    group = np.repeat(np.arange(90), 5)
    tunes, scores = deal(group, 0, 20)
    assert not (tunes & scores).any()
    assert len(set(group[tunes])) == 30 and tunes.sum() == 150
    assert scores.sum() == 60 and len(set(group[scores])) == 60
    assert not set(group[tunes]) & set(group[scores])
    assert len({int(i) % 5 for i in np.flatnonzero(scores)}) == 5  # drawn, not the first of each
    again = deal(group, 0, 20)
    assert np.array_equal(again[0], tunes) and np.array_equal(again[1], scores)
    assert not np.array_equal(deal(group, 1, 20)[1], scores)


def test_few_rows_all_score() -> None:
    tunes, scores = deal(np.arange(59), 0, 20)
    assert not tunes.any() and scores.all()


def test_rows_that_score_promise_for_the_others_whatever_the_seed() -> None:
    rng = np.random.default_rng(4)
    covered = []
    for seed in range(200):
        scores = rng.random(300)
        _, own = deal(np.arange(300), seed, 20)
        covered.append(np.sort(scores[own])[int(np.ceil(0.9 * (own.sum() + 1))) - 1])  # of uniform scores the coverage
    k, n = 181, 200
    assert abs(np.mean(covered) - k / (n + 1)) < 4 * np.sqrt(k * (n + 1 - k) / ((n + 1) ** 2 * (n + 2)) / 200)
