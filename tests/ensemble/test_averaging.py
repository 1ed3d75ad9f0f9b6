"""The promise on choosing rows, by construction, and how far few rows draw a choice towards equal weights."""

from __future__ import annotations

import numpy as np
import pytest

from plait.ensemble.averaging import settle, tempered
from plait.ensemble.scale import SCALES
from plait.ensemble.selection import rows_of_pattern, select_steadily


def planted(family: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of five members of unlike worth and sureness [K, N, C], and targets."""
    rng = np.random.default_rng(seed)
    noise, sure = rng.uniform(0.3, 4.0, 5), rng.uniform(0.2, 5.0, 5)
    if family == "number":
        target = rng.normal(size=rows) * 1000
        return np.stack([target + rng.normal(size=rows) * 1000 * s for s in noise])[..., None], target
    target = rng.integers(0, 2, (rows, 3)) if family == "labels" else rng.integers(0, 3, rows)
    truth = (2.0 * target - 1 if family == "labels" else np.eye(3)[target])[None]
    logits = sure[:, None, None] * (truth + noise[:, None, None] * rng.normal(size=(5, rows, 3)))
    scaled = np.exp(logits - logits.max(-1, keepdims=True))
    return (1 / (1 + np.exp(-logits)) if family == "labels" else scaled / scaled.sum(-1, keepdims=True)), target


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [7, 40, 400])
@pytest.mark.parametrize("family", ["classes", "labels", "number"])
def test_never_worse_than_the_best_member_on_the_rows_that_chose(family: str, rows: int, seed: int) -> None:
    scale, (outputs, target) = SCALES.get(family), planted(family, rows, seed)
    order, groups = np.arange(5), np.arange(rows) // 2
    chosen = select_steadily(outputs, lambda o, at: scale.loss(o, target[at]), list(order), groups, seed)
    for weights in (chosen, np.eye(5)[int(np.random.default_rng(seed).integers(5))]):  # any choice, even a poor one
        found = settle(weights, outputs, lambda o: scale.loss(o, target), scale, order, groups)
        answers = scale.temper(
            np.einsum("k,knc->nc", found.weights, outputs), np.full((rows, 1), found.temperature)
        )  # fmt: skip
        singles = [scale.loss(o, target).mean() for o in outputs]
        assert scale.loss(answers, target).mean() <= min(singles) * (1 + 1e-9)
        assert found.weights.sum() == pytest.approx(1.0) and (found.weights >= 0).all()


@pytest.mark.parametrize(("rows", "noise", "low", "high"), [(30, 1.0, 0.25, 0.25), (20_000, 1.4, 0.33, 0.4)])
def test_luck_goes_to_equal_weights_and_what_many_rows_bear_out_stays(
    rows: int, noise: float, low: float, high: float
) -> None:
    rng, scale = np.random.default_rng(0), SCALES.get("number")
    target = rng.normal(size=rows)
    outputs = np.stack([target + rng.normal(size=rows) * s for s in (1.0, noise, noise, noise)])[..., None]
    chosen = np.array([0.4, 0.2, 0.2, 0.2])  # as suits a noise of 1.4
    found = settle(chosen, outputs, lambda o: scale.loss(o, target), scale, np.arange(4), np.arange(rows))
    assert low - 1e-9 <= found.weights[0] <= high + 1e-9


def test_an_average_of_probabilities_is_made_as_sure_as_it_is_right() -> None:
    """Half of a right and half of a blind answer: .75 for the right class, which is always right; twice as sure, .9."""
    outputs, target = np.full((200, 2), 0.25), np.zeros(200, dtype=int)
    outputs[:, 0] = 0.75
    scale = SCALES.get("classes")
    temperature, losses = tempered(outputs, lambda o: scale.loss(o, target), scale)
    assert 0.5 <= temperature < 0.52 and losses.mean() == pytest.approx(-np.log(0.9), abs=0.005)
    unsure = np.where(np.arange(200)[:, None] < 150, [[0.999, 0.001]], [[0.001, 0.999]])  # right in 3 of 4 rows
    assert tempered(unsure, lambda o: scale.loss(o, target), scale)[0] > 3


def test_rows_that_have_all_of_a_pattern_stand_for_it() -> None:
    present = np.zeros((60, 2), dtype=bool)
    present[:40, 0], present[15:60, 1] = True, True
    assert rows_of_pattern(present, (True, True)).tolist() == list(range(15, 40))
    present[20:40, 1] = False
    assert len(rows_of_pattern(present, (True, True))) == 60  # five rows have both: too few


@pytest.mark.parametrize("family", ["classes", "labels", "number"])
def test_no_other_constant_suits_the_rows_better(family: str) -> None:
    rng = np.random.default_rng(3)
    target = {
        "classes": rng.integers(0, 3, 50), "labels": rng.integers(0, 2, (50, 3)).astype(float),
        "number": rng.normal(size=50),
    }[family]  # fmt: skip
    weight = rng.random(50) + 0.5
    scale, width = SCALES.get(family), 1 if family == "number" else 3

    def loss(answer: np.ndarray) -> float:
        return float((scale.loss(np.tile(answer, (50, 1)), target) * weight).sum())

    best = scale.constant(target, weight, width)
    assert best.shape == (width,)
    for step in rng.normal(scale=0.03, size=(20, width)):
        other = best + step - (step.mean() if family == "classes" else 0.0)
        assert loss(best) < loss(other)
