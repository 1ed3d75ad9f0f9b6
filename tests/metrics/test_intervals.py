"""Intervals: coverage on planted data, groups that widen, pairing that narrows, and the honest blanks."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics import bootstrap_interval, metric_intervals, paired_difference, paired_metric_difference


def test_close_to_the_normal_interval() -> None:
    values = np.repeat([1.0, 0.0], [700, 300])
    low, high = bootstrap_interval(values, 1000, resamples=4000)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 1000)
    assert low == pytest.approx(0.7 - half, abs=0.004) and high == pytest.approx(0.7 + half, abs=0.004)


def test_coverage_on_planted_data() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(2.0, 1.0, 80), 80, resamples=300, seed=seed)
        hits += low <= 2.0 <= high
    assert 0.89 <= hits / 200 <= 0.985


def test_groups_widen_by_what_theory_says() -> None:
    rng = np.random.default_rng(0)
    per_group = rng.normal(size=200)
    values, groups = np.repeat(per_group, 5), np.repeat(np.arange(200), 5)
    rows = np.subtract(*bootstrap_interval(values, 1000)[::-1])
    clusters = np.subtract(*bootstrap_interval(values, 1000, groups=groups)[::-1])
    assert clusters / rows == pytest.approx(np.sqrt(5), rel=0.12)
    # five copies of a group tell no more than one
    single = np.subtract(*bootstrap_interval(per_group, 200)[::-1])
    assert clusters == pytest.approx(single, rel=1e-9)


def test_function_and_values_agree() -> None:
    values = np.random.default_rng(1).random(60)
    groups = [f"g{i % 20}" for i in range(60)]
    by_value = bootstrap_interval(values, 60, groups=groups)
    by_function = bootstrap_interval(lambda rows: float(values[rows].mean()), 60, groups=groups)
    assert by_function == pytest.approx(by_value, abs=1e-12)


def test_groups_without_a_name_stay_alone() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap_interval(values, 50, groups=[None] * 50) == bootstrap_interval(values, 50)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap_interval(values, 50, seed=3) == bootstrap_interval(values, 50, seed=3)
    assert bootstrap_interval(values, 50, seed=3) != bootstrap_interval(values, 50, seed=4)


def test_always_right_is_not_certain() -> None:
    low, high = bootstrap_interval(np.ones(10), 10)
    assert low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6) and high == 1.0  # Wilson, by hand
    low, high = bootstrap_interval(np.zeros(10), 10)
    assert low == pytest.approx(0.0, abs=1e-12) and high == pytest.approx(0.27753, abs=1e-4)
    table = metric_intervals(lambda rows: {"accuracy": 1.0}, 10, resamples=10)
    assert table["accuracy"]["low"] == pytest.approx(0.72247, abs=1e-4)


def test_one_row_or_one_group_has_no_interval() -> None:
    assert bootstrap_interval([1.0], 1) == (None, None)
    assert bootstrap_interval([1.0, 0.0], 2, groups=["a", "a"]) == (None, None)
    assert paired_difference([1.0], [0.0]) == (1.0, None, None)
    assert metric_intervals(lambda rows: {"accuracy": 1.0}, 1)["accuracy"] == {
        "value": 1.0,
        "low": None,
        "high": None,
    }


def test_mostly_undefined_has_no_interval() -> None:
    def only_if_first(rows: np.ndarray) -> float | None:
        return 1.0 if (rows == 0).sum() > 2 else None

    assert bootstrap_interval(only_if_first, 50) == (None, None)


def test_metric_intervals_shares_draws_and_drops_notes() -> None:
    values = np.random.default_rng(0).random(40)

    def fn(rows: np.ndarray) -> dict[str, object]:
        mean = float(values[rows].mean())
        return {"mean": mean, "twice": 2 * mean, "auroc": None, "notes": ["x"]}

    table = metric_intervals(fn, 40, resamples=200)
    assert set(table) == {"mean", "twice", "auroc"}
    assert table["auroc"] == {"value": None, "low": None, "high": None}
    assert table["twice"]["low"] == pytest.approx(2 * table["mean"]["low"])
    assert table["mean"]["low"] < table["mean"]["value"] < table["mean"]["high"]


def test_pairing_finds_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(0, 5, 300)
    a, b = base + 0.3 + rng.normal(0, 0.5, 300), base
    difference, low, high = paired_difference(a, b)
    assert difference == pytest.approx((a - b).mean()) and 0 < low < difference < high
    assert bootstrap_interval(a, 300)[0] < bootstrap_interval(b, 300)[1]  # they overlap
    assert paired_difference(b, a)[0] == -difference


def test_paired_metric_difference() -> None:
    a, b = np.arange(20.0), np.arange(20.0) * 2
    got = paired_metric_difference(lambda r: float(np.median(a[r])), lambda r: float(np.median(b[r])), 20)
    assert got[0] == -9.5 and got[1] < -9.5 < got[2]
    assert paired_metric_difference(lambda r: None, lambda r: 1.0, 5, resamples=3) == (None, None, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([1.0, np.nan], 2), "1 of 2 are NaN"),
        (lambda: bootstrap_interval([1.0], 2), "each of 2 rows"),
        (lambda: bootstrap_interval([1.0, 2.0], 2, groups=["a"]), "groups has 1 entries for 2 rows"),
        (lambda: bootstrap_interval([1.0, 2.0], 2, level=95), "level is 95"),
        (lambda: bootstrap_interval([1.0, 2.0], 2, resamples=0), "resamples is 0"),
        (lambda: bootstrap_interval([], 0), "expected at least 1"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "per_row_b"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
