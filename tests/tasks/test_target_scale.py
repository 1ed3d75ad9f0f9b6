"""A numeric target as it is learned, and back."""

from __future__ import annotations

import numpy as np
import pytest

from plait.tasks.target_scale import TRANSFORMS, TargetScale, transforms_for

VALUES = np.exp(np.random.default_rng(0).normal(3, 1, 500))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_there_and_back(transform: str) -> None:
    scale = TargetScale.fit(VALUES, transform)
    encoded = scale.encode(VALUES)
    inside = (np.quantile(VALUES, 0.01) < VALUES) & (np.quantile(VALUES, 0.99) > VALUES)
    assert scale.decode(encoded)[inside] == pytest.approx(VALUES[inside], rel=1e-6)
    assert encoded.std() == pytest.approx(1.0, abs=0.05)
    assert TargetScale.from_json(scale.to_json()) == scale


def test_a_logarithm_does_not_run_away() -> None:
    scale = TargetScale.fit(VALUES, "log")
    assert scale.decode(np.array([1000.0]))[0] < VALUES.max() * 10


def test_smearing_makes_the_mean_right() -> None:
    scale = TargetScale.fit(VALUES, "log")
    constant = np.zeros(len(VALUES))  # a model that knows nothing predicts the median
    assert scale.decode(constant).mean() < 0.8 * VALUES.mean()
    assert scale.with_smearing(VALUES, constant).decode(constant).mean() == pytest.approx(VALUES.mean())


def test_no_logarithm_of_zero() -> None:
    assert "log" not in transforms_for(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="task.transform=log needs numbers above 0"):
        TargetScale.fit(np.array([0.0, 1.0]), "log")


def test_a_constant_target() -> None:
    for transform in TRANSFORMS:
        scale = TargetScale.fit(np.full(10, 3.0), transform)
        assert scale.decode(scale.encode(np.array([3.0]))) == pytest.approx([3.0])


def test_residuals_make_means_of_medians() -> None:
    """Duan's estimate: every residual is taken back with the prediction. Two residuals, worked by hand."""
    scale = TargetScale("log", mean=0.0, std=1.0)
    made = scale.with_residuals(np.array([-1.0, 1.0]))
    inner = np.quantile([-1.0, 1.0], [0.25, 0.75])  # -.5 and .5
    assert made.decode(np.array([2.0]))[0] == pytest.approx(float(np.exp(2.0 + inner).mean()))
    assert TargetScale.from_json(made.to_json()) == made
    assert "residuals" not in scale.to_json()  # label files of older folders stay what they were


@pytest.mark.parametrize("transform", ["log", "quantile"])
def test_the_mean_of_a_model_that_knows_nothing_is_the_mean(transform: str) -> None:
    scale = TargetScale.fit(VALUES, transform)
    made = scale.with_residuals(scale.encode(VALUES))
    assert made.decode(np.zeros(1))[0] == pytest.approx(VALUES.mean(), rel=0.05)
    assert scale.decode(np.zeros(1))[0] == pytest.approx(np.median(VALUES), rel=0.1)
