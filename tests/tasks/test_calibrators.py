"""Calibrators: true temperatures recovered, kept only where they help, JSON and back bit for bit, decisions kept."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from plait.tasks.calibration import Calibration
from plait.tasks.calibrator_choice import choose_calibrator
from plait.tasks.calibrators import Isotonic, Temperature, VectorScaling, calibrator_from_json, proper_loss
from plait.tasks.decisions import class_decisions
from plait.tasks.residual_curves import ResidualCurves


def true_rows(seed: int, count: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is true, and truth with shares as near to them as ``count`` rows allow."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)) * 2
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(1)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.5, 10.0])
def test_true_temperatures_are_recovered_within_one_percent(temperature: float) -> None:
    logits, truth = true_rows(0, 2000)
    own = Temperature.fit(logits, truth).temperature  # what this sample itself asks for
    made = Temperature.fit(logits * temperature, truth)
    assert made.temperature == pytest.approx(temperature * own, rel=1e-4)
    many, of_many = true_rows(1, 60_000)
    assert Temperature.fit(many * temperature, of_many).temperature == pytest.approx(temperature, rel=0.01)
    assert np.array_equal(made.logits(logits).argmax(1), logits.argmax(1))
    assert (
        proper_loss(made.logits(logits * temperature), truth).mean() <= proper_loss(logits * temperature, truth).mean()
    )


def test_separable_rows_have_a_bounded_temperature() -> None:
    logits = np.array([[5.0, -5.0], [-5.0, 5.0]] * 10)
    made = Temperature.fit(logits, np.array([0, 1] * 10))
    assert 1e-3 < made.temperature < 1 and np.isfinite(made.logits(logits)).all()


def test_label_sets_are_scaled_by_binary_losses() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(30_000, 3)) * 2
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    assert Temperature.fit(logits * 2.5, truth).temperature == pytest.approx(2.5, rel=0.02)


def test_vector_scaling_finds_factors_and_offsets_that_a_temperature_cannot() -> None:
    logits, truth = true_rows(3, 20_000)
    bent = (logits - np.array([1.0, 0.0, -1.0])) / np.array([1.0, 2.0, 0.5])
    made = VectorScaling.fit(bent, truth)
    gain = (
        proper_loss(Temperature.fit(bent, truth).logits(bent), truth).mean()
        - proper_loss(made.logits(bent), truth).mean()
    )
    assert gain > 0.05
    assert proper_loss(made.logits(bent), truth).mean() == pytest.approx(proper_loss(logits, truth).mean(), abs=2e-3)


def test_isotonic_straightens_what_no_temperature_can() -> None:
    rng = np.random.default_rng(4)
    gap = rng.normal(size=4000) * 2
    truth = (rng.random(4000) < np.where(gap > 0, 0.75, 0.25)).astype(int)
    logits = np.column_stack([np.zeros(4000), gap])
    chosen = choose_calibrator(logits, truth, np.arange(4000), keeps_order=False)
    assert isinstance(chosen.calibrator, Isotonic) and chosen.losses["isotonic"] < chosen.losses["temperature"]
    made = np.exp(chosen.calibrator.logits(logits))
    assert np.allclose(made.sum(1), 1) and made[gap > 0.5, 1].mean() == pytest.approx(0.75, abs=0.03)
    assert made.min() > 0


def test_a_calibrated_model_is_left_as_it_is() -> None:
    logits, truth = true_rows(5, 300)
    own = Temperature.fit(logits, truth).temperature
    chosen = choose_calibrator(logits / own, truth, np.arange(300), keeps_order=False)
    assert chosen.calibrator is None and "no calibrator" in chosen.why
    assert choose_calibrator(logits[:10] * 9, truth[:10], np.arange(10), keeps_order=False).calibrator is None
    sure = choose_calibrator(logits * 5, truth, np.arange(300), keeps_order=False)
    assert sure.calibrator is not None and sure.losses["none"] > min(sure.losses.values()) + 0.1
    assert set(choose_calibrator(logits * 5, truth, np.arange(300), keeps_order=True).losses) == {"none", "temperature"}


def test_a_group_never_fits_and_judges_at_once() -> None:
    logits, truth = true_rows(6, 40)
    twice = np.repeat(np.arange(40), 5)
    chosen = choose_calibrator(np.repeat(logits, 5, 0) * 4, np.repeat(truth, 5), twice, keeps_order=True)
    once = choose_calibrator(logits * 4, truth, np.arange(40), keeps_order=True)
    assert chosen.losses == pytest.approx(once.losses, rel=1e-4)


@pytest.mark.parametrize(
    "made", [Temperature(1 / 3), VectorScaling((0.1, 1 / 7), (0.3, -1e-17)), Isotonic((-1.0, 0.1), (0.2, 0.7))]
)
def test_json_and_back_is_the_same_bit_for_bit(made: Any) -> None:
    again = calibrator_from_json(json.loads(json.dumps(made.to_json())))
    logits = np.random.default_rng(0).normal(size=(50, 2))
    assert again is not None and np.array_equal(again.logits(logits), made.logits(logits))


def test_thresholds_move_with_the_temperature_so_that_decisions_stay() -> None:
    logits = np.random.default_rng(8).normal(size=(500, 2)) * 3
    made = Temperature(2.5)

    def proba(z: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(z) / np.exp(z).sum(1, keepdims=True))

    before = class_decisions(proba(logits), (0.3,))
    assert np.array_equal(class_decisions(proba(made.logits(logits)), (made.threshold(0.3),)), before)


def calibration(count: int = 120) -> Calibration:
    """Two patterns, the second of them with ten rows only; a score of infinity among them."""
    rng = np.random.default_rng(0)
    scores = rng.random(count)
    scores[3] = np.inf
    pattern = np.zeros(count, dtype=np.int64)
    pattern[-10:] = 1
    return Calibration(
        "classes", ("text", "image"), ((True, True), (True, False)), pattern, np.arange(count) % 2,
        {"lac": scores, "aps": scores, "raps": scores}, Temperature(2.0), facts={"rows": count},
    )  # fmt: skip


def test_a_calibration_is_the_same_after_json() -> None:
    made = calibration()
    again = Calibration.from_json(json.loads(json.dumps(made.to_json())))
    assert json.dumps(again.to_json()) == json.dumps(made.to_json())
    assert np.array_equal(again.scores["lac"], made.scores["lac"]) and again.calibrator == made.calibrator
    with pytest.raises(ValueError, match="expected a list of 120 whole numbers"):
        Calibration.from_json({**made.to_json(), "class": [0]})


def test_a_pattern_without_calibration_rows_gets_no_promise() -> None:
    made = calibration()
    present = np.array([[True, True], [True, False], [False, True]])
    inside, promised = made.sets(np.full((3, 2), 0.5), present, 0.9)
    assert promised.tolist() == [True, True, False] and not inside[2].any()
    facts = made.pattern_facts()
    assert [f["rows"] for f in facts] == [110, 10] and [f["pooled"] for f in facts] == [110, 120]
    assert [f["is_own"] for f in facts] == [True, False]
    with pytest.raises(ValueError, match="unknown method"):
        made.sets(np.full((1, 2), 0.5), present[:1], 0.9, "quantile")


def test_curves_are_wide_where_errors_are_large() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(0, 10, 800)
    truth = predicted + rng.normal(size=800) * (0.1 + predicted / 5)
    curves = ResidualCurves.fit(predicted, truth)
    low, high = curves.interval(np.array([1.0, 9.0]), 0.9)
    assert 4 < (high - low)[1] / (high - low)[0] < 9
    assert curves.error(np.array([9.0]))[0] > 3 * curves.error(np.array([1.0]))[0]
    made = Calibration(
        "number", ("x",), ((True,),), np.zeros(400, dtype=np.int64), np.zeros(400, dtype=np.int64),
        {"residual": (truth - predicted)[400:], "predicted": predicted[400:]},
        curves=ResidualCurves.fit(predicted[:400], truth[:400]),
    )  # fmt: skip
    assert made.methods == ("quantile", "split")
    new = rng.uniform(0, 10, 4000)
    there, answer = np.ones((4000, 1), dtype=bool), new + rng.normal(size=4000) * (0.1 + new / 5)
    for method in made.methods:
        low, high, promised = made.intervals(new, there, 0.9, method)
        assert promised.all() and np.mean((low <= answer) & (answer <= high)) == pytest.approx(0.9, abs=0.05)
    small = new < 2
    low, high, _ = made.intervals(new, there, 0.9, "split")
    assert np.mean((low <= answer)[small] & (answer <= high)[small]) > 0.97  # one width for all: too wide here
    low, high, _ = made.intervals(new, there, 0.9)
    assert np.mean((low <= answer)[small] & (answer <= high)[small]) == pytest.approx(0.9, abs=0.07)


def test_thresholds_of_many_classes_move_with_the_temperature_so_that_decisions_stay() -> None:
    from plait.tasks.calibrators import Temperature
    from plait.tasks.decisions import class_decisions

    rng = np.random.default_rng(5)
    logits_NC, limits = rng.normal(size=(500, 4)) * 2, (0.1, 0.2, 0.3, 0.4)
    proba_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(1, keepdims=True)
    before = class_decisions(proba_NC, limits)
    assert (before != proba_NC.argmax(1)).any()
    for temperature in (0.5, 2.5):
        found = Temperature(temperature)
        moved = np.exp(found.logits(logits_NC))
        moved /= moved.sum(1, keepdims=True)
        np.testing.assert_array_equal(class_decisions(moved, found.divisors(limits)), before)


def test_a_temperature_at_its_bound_is_told() -> None:
    sure = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert Temperature.fit(sure, np.array([0, 1])).is_at_bound  # two rows, both right: the surer the better
    assert not Temperature.fit(np.repeat(sure, 10, 0), np.array([0] * 8 + [1] * 2 + [1] * 10)).is_at_bound
    chosen = choose_calibrator(np.tile(sure, (20, 1)), np.array([0, 1] * 20), np.arange(40), keeps_order=True)
    assert chosen.why.endswith("; it lies at its bound, so these rows are too few or all alike to tell it")
