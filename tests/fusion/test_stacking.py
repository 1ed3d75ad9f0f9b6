"""Stacking: whom it learns to trust, what stays at the mean and is said so, and the oracle of scikit-learn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from fixtures.encoded import make_encoded, make_fusion, take
from fixtures.lazy import lazy
from plait.encoders.base import Encoded
from plait.fusion import Calibrated, Fusion, OutputSpec, SeenBatch

LogisticRegression = lazy("sklearn.linear_model", "LogisticRegression")


class FakeRows:
    """Rows as ``calibrate_from`` sees them."""

    def __init__(self, fusion: Fusion, encoded: list[Encoded], present_BM: torch.Tensor, target: np.ndarray) -> None:
        self.fusion, self.encoded, self.present_BM, self.target = fusion, encoded, present_BM, target

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        for rows in torch.arange(len(self.target)).split(50):
            part, there = take(self.encoded, rows), self.present_BM[rows]
            yield SeenBatch(part, there, partial(self.fusion, part, there))


def calibrated(kind: str, rows: int, present: float = 1.0, num_outputs: int = 3) -> tuple[Fusion, FakeRows, np.ndarray]:
    """Stacking fitted on rows whose target is what the first modality says, turned round; the second is noise."""
    spec = {"classes": OutputSpec(num_outputs), "labels": OutputSpec(2, "labels"), "number": OutputSpec(1, "number")}
    fusion = make_fusion("late_stacking", 2, torch.float64, outputs=spec[kind])
    encoded = make_encoded(2, rows, seed=3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    present_BM = torch.rand(rows, 2, generator=generator) < present
    said = -fusion(encoded, torch.ones(rows, 2, dtype=torch.bool)).modality_logits_BMC[:, 0].detach().numpy()
    target = {
        "classes": said.argmax(1),
        "labels": (said > np.median(said, axis=0)).astype(np.float32),
        "number": (2 * said[:, 0] + 1).astype(np.float32),
    }[kind]
    with torch.no_grad():
        seen = FakeRows(fusion, encoded, present_BM, target)
        fusion.calibrate_from(seen, seen)
    return fusion, seen, target


@pytest.mark.parametrize("num_outputs", [2, 3])
def test_stacking_learns_whom_to_trust(num_outputs: int) -> None:
    fusion, seen, target = calibrated("classes", 300, num_outputs=num_outputs)
    assert isinstance(fusion, Calibrated) and fusion.is_fitted_C.all()
    out = fusion(seen.encoded, seen.present_BM)
    assert (out.fused_BD.argmax(1).numpy() == target).mean() > 0.95
    wrong = fusion.train()(seen.encoded, seen.present_BM).fused_BD  # training goes on with the mean
    assert (wrong.argmax(1).numpy() == target).mean() < 0.4
    fresh = make_fusion("late_stacking", 2, torch.float64, outputs=OutputSpec(num_outputs))
    assert torch.equal(wrong.detach(), fresh(seen.encoded, seen.present_BM).fused_BD.detach())


def test_stacking_of_two_classes_gives_the_probabilities_of_the_logistic_regression() -> None:
    fusion, seen, target = calibrated("classes", 100, present=0.8, num_outputs=2)
    got = torch.softmax(fusion(seen.encoded, seen.present_BM).fused_BD, dim=1).detach().numpy()
    logits = fusion(seen.encoded, seen.present_BM).modality_logits_BMC.detach().numpy()
    centred = (logits - logits.mean(2, keepdims=True)).reshape(100, 4)
    features = np.concatenate([centred, seen.present_BM.numpy()], axis=1)
    model = LogisticRegression(max_iter=2000).fit(features / features.std(0), target)
    np.testing.assert_allclose(got, model.predict_proba(features / features.std(0)), atol=1e-6)


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_stacking_of_labels_and_numbers(kind: str) -> None:
    fusion, seen, target = calibrated(kind, 300)
    fused = fusion(seen.encoded, seen.present_BM).fused_BD.detach().numpy()
    if kind == "labels":
        assert ((fused > 0) == (target > 0.5)).mean() > 0.95
        used = fusion.weight_CF[0].numpy() != 0
        assert used.tolist() == [True, False, True, False, False, False]  # its own log-odds; presence never changes
    else:
        assert np.corrcoef(fused[:, 0], target)[0, 1] > 0.99


@pytest.mark.parametrize("kind", ["classes", "labels", "number"])
def test_stacking_with_missing_modalities_is_exact_and_finite(kind: str) -> None:
    fusion, seen, target = calibrated(kind, 200, present=0.6)
    dirty = [Encoded(e.vector_BD.clone(), e.tokens_BTD, e.mask_BT) for e in seen.encoded]
    for m, item in enumerate(dirty):
        item.vector_BD[~seen.present_BM[:, m]] = float("nan")
    clean_BC, dirty_BC = (fusion(e, seen.present_BM).fused_BD for e in (seen.encoded, dirty))
    assert torch.equal(clean_BC, dirty_BC) and torch.isfinite(clean_BC).all()
    before = fusion.weight_CF.clone()
    again = FakeRows(fusion, dirty, seen.present_BM, target)
    with torch.no_grad():
        fusion.calibrate_from(again, again)
    assert torch.equal(fusion.weight_CF, before)  # what is missing does not leak into the combiner either


def test_stacking_stays_at_the_mean_when_validation_cannot_tell(caplog: pytest.LogCaptureFixture) -> None:
    features = np.random.default_rng(0).normal(size=(40, 8))
    fusion = make_fusion("late_stacking", 2, outputs=OutputSpec(3))
    fusion.fit_combiner(features, np.arange(40) % 3)
    assert fusion.is_fitted_C.all()
    with caplog.at_level(logging.WARNING, logger="plait"):
        fusion.fit_combiner(features, np.zeros(40, dtype=np.int64))
        assert not fusion.is_fitted_C.any() and fusion.weight_CF.abs().sum() == 0  # the old fit is gone
        fusion.fit_combiner(features[:9], np.arange(9) % 3)
        assert not fusion.is_fitted_C.any()
    assert [r.getMessage().split(":")[1] for r in caplog.records] == [
        " 3 of 3 outputs (0, 1, 2) stay at the plain mean of the modalities (late_mean)"
    ]
    assert fusion.notes(["cat", "dog", "eel"])[0].startswith("late_stacking: 3 of 3 outputs (cat, dog, eel) stay at")
    fusion.fit_combiner(features, np.where(np.arange(40) < 4, -1, np.arange(40) % 3))  # -1: a class training lacks
    assert fusion.is_fitted_C.all()
    labels = make_fusion("late_stacking", 2, outputs=OutputSpec(3, "labels"))
    target = np.stack([np.arange(40) % 2, np.zeros(40), np.arange(40) % 3 == 0], axis=1).astype(np.float32)
    labels.fit_combiner(features, target)
    assert labels.is_fitted_C.tolist() == [True, False, True]
    assert "1 of 3 outputs (b) stays at" in labels.notes(["a", "b", "c"])[0]


def test_stacking_fits_the_classes_that_validation_shows() -> None:
    """The third class keeps the mean's probability; the other two share the rest as their own regression says."""
    fusion, seen, target = calibrated("classes", 120, num_outputs=3)
    logits = fusion(seen.encoded, seen.present_BM).modality_logits_BMC.detach()
    features = fusion.features(logits, seen.present_BM).numpy()
    shown = target != 2
    fusion.fit_combiner(features[shown], target[shown])
    assert fusion.is_fitted_C.tolist() == [True, True, False] and len(fusion.notes(["a", "b", "c"])) == 1
    got = torch.softmax(fusion(seen.encoded, seen.present_BM).fused_BD, dim=1).detach().numpy()
    mean = torch.softmax(fusion.train()(seen.encoded, seen.present_BM).fused_BD, dim=1).detach().numpy()
    np.testing.assert_allclose(got[:, 2], mean[:, 2], atol=1e-9)
    spread = features[shown].std(0)
    spread[spread == 0] = np.inf
    model = LogisticRegression(max_iter=2000).fit(features[shown] / spread, target[shown])
    expected = model.predict_proba(features / spread) * (1 - mean[:, 2:])
    np.testing.assert_allclose(got[:, :2], expected, atol=1e-6)


def test_stacking_weighs_rows_by_class_weights() -> None:
    """A weight of two for a class is as good as every row of it twice (labels: every row that has it)."""
    rng = np.random.default_rng(1)
    features = np.concatenate([rng.normal(size=(30, 6)), np.ones((30, 2))], axis=1)
    target = np.arange(30) % 3
    weighed = make_fusion("late_stacking", 2, torch.float64, outputs=OutputSpec(3))
    weighed.start_from(target, [1.0, 2.0, 1.0])
    weighed.fit_combiner(features, target)
    own = features.std(0)
    own[own == 0] = np.inf
    rows = np.concatenate([np.arange(30), np.flatnonzero(target == 1)])
    model = LogisticRegression(max_iter=2000).fit(features[rows] / own, target[rows])
    np.testing.assert_allclose(weighed.weight_CF, model.coef_ / own, atol=1e-3)
    np.testing.assert_allclose(weighed.bias_C, model.intercept_, atol=1e-3)
    labels = make_fusion("late_stacking", 2, torch.float64, outputs=OutputSpec(3, "labels"))
    many = np.stack([target == c for c in range(3)], axis=1).astype(np.float32)
    labels.fit_combiner(features, many)
    before = labels.bias_C.clone()
    labels.start_from(many, [8.0, 1.0, 1.0])
    labels.fit_combiner(features, many)
    assert labels.bias_C[0] > before[0] + 1 and torch.equal(labels.bias_C[1:], before[1:])
