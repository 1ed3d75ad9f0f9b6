"""Robustness curves worked by hand, errors turned the right way round, and metrics per missing pattern."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.robustness import (
    effective_robustness,
    missing_patterns,
    pattern_metrics,
    relative_robustness,
)

LEVELS = [0.0, 0.25, 0.5, 0.75, 1.0]


def test_linear_decay_by_hand() -> None:
    """0.8 falling to 0.4 keeps three quarters on average; no decay keeps all, and the number of levels is nothing."""
    assert relative_robustness(LEVELS, [0.8, 0.7, 0.6, 0.5, 0.4]) == pytest.approx(0.75, abs=1e-15)
    for levels in (np.linspace(0, 1, 11), np.linspace(0, 0.9, 10), [0, 0.3]):
        assert relative_robustness(levels, np.full(len(levels), 0.8)) == 1.0
    fine = np.linspace(0, 1, 101)
    assert relative_robustness(fine, 0.8 - 0.4 * fine) == pytest.approx(0.75, abs=1e-12)


def test_unequal_spacing_by_hand() -> None:
    """Areas .1 (1 + .9)/2 = .095 and .4 (.9 + .5)/2 = .28 over a span of .5."""
    assert relative_robustness([0, 0.1, 0.5], [1.0, 0.9, 0.5]) == pytest.approx(0.375 / 0.5)
    # Gaps to the shifted baseline 0, .1, .2: areas .1 x .05 and .4 x .15.
    gap = effective_robustness([0, 0.1, 0.5], [1.0, 0.9, 0.5], [0.9, 0.7, 0.2])
    assert gap == pytest.approx((0.005 + 0.06) / 0.5)


def test_lower_is_better() -> None:
    """An error that doubles keeps a half: ratios 1, 1/2, 1/4 -> (.75 + .375) / 2."""
    found = relative_robustness([0, 0.5, 1], [2.0, 4.0, 8.0], higher_is_better=False)
    assert found == pytest.approx((0.75 + 0.375) / 2)
    assert relative_robustness([0, 1], [2.0, 1.0], higher_is_better=False) == pytest.approx(1.5)
    # The model's error grows by 1, late fusion's by 3: gap 2 at the end, 1 on average, in the model's favour.
    assert effective_robustness([0, 1], [2.0, 3.0], [5.0, 8.0], higher_is_better=False) == pytest.approx(1.0)
    assert effective_robustness([0, 1], [2.0, 3.0], [5.0, 8.0]) == pytest.approx(-1.0)


def test_effective_robustness_of_the_baseline_is_nothing() -> None:
    late = np.array([0.7, 0.65, 0.6, 0.4, 0.3])
    assert effective_robustness(LEVELS, late, late) == 0.0
    assert effective_robustness(LEVELS, late + 0.2, late) == pytest.approx(0.0, abs=1e-15)  # a clean lead alone
    assert effective_robustness(LEVELS, [0.7] * 5, late) > 0 > effective_robustness(LEVELS, late, [0.7] * 5)
    assert effective_robustness([0, 1], [-3.0, -1.0], [0.0, 0.0]) == 1.0  # differences ask for no sign


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0, 0.5, 0.25], "rising order"),
        ([0, 0.5, 0.5], "level 0.5 stands twice"),
        ([0.1, 0.5, 1], "the first level is 0.1; expected 0"),
        ([0, 30, 100], r"0 to 1 \(0.3, not 30\)"),
        ([0, np.nan, 1], "0 to 1"),
        ([0, 0.5], "one score for each of 2 levels"),
        ([0], "at least two"),
    ],
)
def test_levels_that_are_refused(levels: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        relative_robustness(levels, [0.9, 0.8, 0.7])
    with pytest.raises(ValueError, match=message):
        effective_robustness(levels, [0.9, 0.8, 0.7], [0.9, 0.8, 0.7])


def test_scores_that_are_refused() -> None:
    with pytest.raises(ValueError, match="scores hold 1 NaN or infinite of 2"):
        relative_robustness([0, 1], [0.9, np.nan])
    with pytest.raises(ValueError, match="baseline hold 2 NaN"):
        effective_robustness([0, 1], [0.9, 0.8], [np.nan, np.inf])
    with pytest.raises(ValueError, match="clean score is 0"):
        relative_robustness([0, 1], [0.0, 0.5])
    with pytest.raises(ValueError, match="error at level 1 is 0 or less"):
        relative_robustness([0, 1], [0.5, 0.0], higher_is_better=False)


PRESENT = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]], dtype=bool)
NAMES = ["text", "image", "audio"]


def test_patterns_by_hand() -> None:
    found = missing_patterns(PRESENT, NAMES)
    assert [(p.names, p.rows.tolist()) for p in found] == [
        (("text", "image"), [0, 2, 6]),
        (("text", "audio"), [1, 4]),
        (("text", "image", "audio"), [5]),
        ((), [3]),
    ]
    assert found[1].present == (True, False, True)
    assert sorted(int(r) for p in found for r in p.rows) == list(range(7))


def test_metrics_per_pattern() -> None:
    right = np.array([1, 0, 1, 0, 1, 1, 0])
    rows = pattern_metrics(PRESENT, NAMES, lambda rows: {"accuracy": float(right[rows].mean())})
    assert [(r["value"], r["rows"], r["metrics"]["accuracy"]) for r in rows] == [
        ("text + image", 3, pytest.approx(2 / 3)),
        ("text + audio", 2, 0.5),
        ("text + image + audio", 1, 1.0),
        ("(none)", 1, 0.0),
    ]
    assert {r["column"] for r in rows} == {"present modalities"}


def test_random_patterns_cover_every_row_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        n, m = int(rng.integers(1, 40)), int(rng.integers(1, 5))
        present = rng.random((n, m)) < 0.5
        names = [f"m{j}" for j in range(m)]
        found = missing_patterns(present, names)
        assert np.array_equal(np.sort(np.concatenate([p.rows for p in found])), np.arange(n))
        assert len({p.present for p in found}) == len(found)
        for pattern in found:
            assert (present[pattern.rows] == pattern.present).all()
            assert pattern.names == tuple(x for x, there in zip(names, pattern.present, strict=True) if there)


def test_patterns_that_are_refused() -> None:
    with pytest.raises(ValueError, match="give one each, none twice"):
        missing_patterns(PRESENT, ["text", "image"])
    with pytest.raises(ValueError, match="give one each, none twice"):
        missing_patterns(PRESENT, ["text", "text", "audio"])
    with pytest.raises(ValueError, match="other than true and false"):
        missing_patterns([[0.5, 1.0]], ["a", "b"])
    with pytest.raises(ValueError, match="at least one row"):
        missing_patterns(np.zeros((0, 2), dtype=bool), ["a", "b"])
