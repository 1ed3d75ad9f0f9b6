"""Perceptual score: drops by hand, their spread, and shuffling that leaves missing cells alone."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.perceptual import perceptual_score, shuffled_rows


def test_by_hand() -> None:
    found = perceptual_score(0.8, [0.6, 0.5, 0.7])
    assert found["raw"]["value"] == pytest.approx(0.2)
    assert found["normalised"]["value"] == pytest.approx(0.25)
    assert found["spread"] == pytest.approx(0.1) and found["permutations"] == 3
    assert 0.1 <= found["raw"]["low"] < 0.2 < found["raw"]["high"] <= 0.3


def test_an_unused_modality_has_a_score_of_exactly_zero() -> None:
    found = perceptual_score(0.7, [0.7] * 5)
    assert found["raw"] == {"value": 0.0, "low": 0.0, "high": 0.0} and found["spread"] == 0.0


def test_honest_blanks() -> None:
    one = perceptual_score(0.7, [0.6])
    assert one["raw"]["low"] is None and one["spread"] is None
    assert perceptual_score(-0.2, [-0.3])["normalised"]["value"] is None  # an R2 below 0 is no yardstick
    for full, drawn in ((0.5, []), (np.nan, [0.5]), (0.5, [np.nan])):
        with pytest.raises(ValueError):
            perceptual_score(full, drawn)


def test_only_rows_that_have_the_modality_are_shuffled() -> None:
    has = np.arange(40) % 3 > 0
    rows = shuffled_rows(has, np.random.default_rng(0))
    assert np.array_equal(rows[~has], np.flatnonzero(~has))
    assert sorted(rows) == list(range(40)) and not np.array_equal(rows, np.arange(40))
    assert set(rows[has]) == set(np.flatnonzero(has))
