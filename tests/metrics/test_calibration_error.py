"""Calibration errors, reliability and the risk-coverage curve: worked by hand, at the edges, and under ties."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.trust import (
    aurc,
    brier_score,
    calibration_error,
    classwise_calibration_error,
    expected_calibration_error_of_perfect,
    log_score,
    reliability,
    risk_coverage,
)
from plait.metrics.trust.risk_coverage import coverage_at_risk, excess_aurc


def test_a_confidence_of_exactly_one_is_in_the_last_bin() -> None:
    assert calibration_error([0.95, 1.0], [1, 0]) == pytest.approx(0.475)
    assert calibration_error([1.0], [0], bins=3) == 1.0 and calibration_error([0.0, 0.0], [1, 1]) == 1.0


def test_equal_mass_by_hand() -> None:
    found = calibration_error([0.8, 0.7, 0.76, 0.8, 0.75], [1, 1, 1, 0, 1], bins=2, by="mass")
    assert found == pytest.approx(3 / 5 * (1 - (0.7 + 0.76 + 0.75) / 3) + 2 / 5 * (0.8 - 0.5))


def test_equal_width_by_hand() -> None:
    # bins of .2: {.1: wrong}, {.5, .55: one right}, {.9: right}
    found = calibration_error([0.1, 0.5, 0.55, 0.9], [0, 1, 0, 1], bins=5)
    assert found == pytest.approx((0.1 + 2 * abs(0.5 - 0.525) + 0.1) / 4)
    assert calibration_error([0.5] * 4, [1, 1, 0, 0], norm=2) == 0.0


def test_equal_confidences_are_never_parted() -> None:
    confidence, right = np.array([0.6] * 7 + [0.9]), np.array([1, 1, 1, 0, 0, 0, 0, 1])
    one = calibration_error(confidence, right, bins=4, by="mass")
    assert one == pytest.approx(calibration_error(confidence[::-1], right[::-1], bins=4, by="mass"))
    assert one == pytest.approx(7 / 8 * abs(3 / 7 - 0.6) + 1 / 8 * 0.1)


def test_classwise_brier_and_log_score_by_hand() -> None:
    proba = np.array([[0.8, 0.2], [0.4, 0.6]])
    assert classwise_calibration_error(proba, [0, 0], bins=1) == pytest.approx(((1 - 0.6) + (0.4 - 0)) / 2)
    assert brier_score(proba, np.array([0, 0])) == pytest.approx((0.04 + 0.04 + 0.36 + 0.36) / 2)
    assert log_score(proba, np.array([0, 0])) == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)
    assert log_score(proba, np.array([0, -1])) == pytest.approx((-np.log(0.8) - np.log(1e-12)) / 2)
    assert brier_score(proba, np.array([-1, 0])) == pytest.approx((0.64 + 0.04 + 0.36 + 0.36) / 2)
    assert log_score(proba, np.array([[1, 0], [1, 1]])) == pytest.approx(-np.log([0.8, 0.8, 0.4, 0.6]).mean())


@pytest.mark.parametrize("rows", [100, 1000, 10_000])
def test_what_a_perfect_model_of_this_size_shows(rows: int) -> None:
    confidence = np.random.default_rng(0).uniform(0.5, 1.0, rows)
    found = expected_calibration_error_of_perfect(confidence, draws=100)
    # the mean distance of a binomial share from its mean, in 7.5 bins
    error = np.sqrt(2 / np.pi * (confidence * (1 - confidence)).mean() * 7.5 / rows)
    assert found["mean"] == pytest.approx(error, rel=0.1) and found["high"] > found["mean"]
    right = np.random.default_rng(1).random(rows) < confidence
    assert calibration_error(confidence, right) < 1.5 * found["high"]
    assert calibration_error(confidence, np.random.default_rng(1).random(rows) < 0.4) > 1.5 * found["high"]


def test_reliability_counts_every_row_once() -> None:
    found = reliability([0.05, 0.95, 1.0, 0.96], [0, 1, 1, 0])
    assert [(b["rows"], b["right"]) for b in found] == [(1, 0.0), (3, pytest.approx(2 / 3))]
    assert all(0 <= b["low"] <= b["right"] <= b["high"] <= 1 for b in found)


def test_the_order_of_tied_rows_does_not_count() -> None:
    losses = np.array([1, 0, 0, 1, 0, 0, 0], dtype=float)
    assert aurc([0.5] * 7, losses) == pytest.approx(losses.mean())
    assert aurc([0.5] * 7, losses[::-1]) == aurc([0.5] * 7, losses)
    orders = [np.random.default_rng(s).permutation(7) for s in range(2000)]
    sure = np.array([0.9, 0.9, 0.5, 0.5, 0.5, 0.1, 0.1])
    mean = np.mean([aurc(sure[o] + 1e-9 * np.arange(7)[::-1], losses[o]) for o in orders])
    assert aurc(sure, losses) == pytest.approx(mean, abs=0.01)


def test_risk_and_coverage_by_hand() -> None:
    coverage, risk = risk_coverage([0.9, 0.7, 0.8, 0.6], [0, 1, 0, 1])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0] and risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])
    assert aurc([0.9, 0.7, 0.8, 0.6], [0, 1, 0, 1]) == pytest.approx((1 / 3 + 0.5) / 4)
    assert excess_aurc([0.9, 0.7, 0.8, 0.6], [0, 1, 0, 1]) == pytest.approx(0.0)
    assert excess_aurc([0.1, 0.3, 0.2, 0.4], [0, 1, 0, 1]) > 0.3
    assert coverage_at_risk([0.9, 0.7, 0.8, 0.6], [0, 1, 0, 1], 0.1) == 0.5


@pytest.mark.parametrize("values", [([], []), ([0.5], [1, 0]), ([1.2], [1]), ([np.nan], [1]), ([0.5], [2])])
def test_what_is_no_confidence_is_refused(values: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError):
        calibration_error(*values)
