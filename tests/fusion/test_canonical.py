"""Canonical towers: a pair of maps in closed form beside those that gradients train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.encoded import dims as make_dims
from fixtures.encoded import make_encoded
from plait.encoders.base import Encoded
from plait.fusion import EncodedDims
from plait.fusion.calibration import SeenBatch
from plait.fusion.canonical import (
    CanonicalTowers,
    Moments,
    Sides,
    canonical_maps,
    found_rate,
    tied_items,
    transport_plan,
)
from plait.fusion.cosine import CosineFusion
from plait.heads.dual_encoder import DualEncoderHead


def planted(pairs: int, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Two sides that share four hidden numbers, each in 12 directions of its own, among noise."""
    rng = np.random.default_rng(7)
    left, right = rng.normal(size=(4, 12)), rng.normal(size=(4, 10))
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(pairs, 4))
    return (
        hidden @ left + noise * draw.normal(size=(pairs, 12)), hidden @ right + noise * draw.normal(size=(pairs, 10))
    )  # fmt: skip


def sides(x: np.ndarray, y: np.ndarray) -> Sides:
    return Sides(x, y, np.arange(len(x)))


def rate(towers: CanonicalTowers, x: np.ndarray, y: np.ndarray) -> float:
    left, right = towers(0, torch.tensor(x).float()), towers(1, torch.tensor(y).float())
    return found_rate((left @ right.T).numpy(), np.eye(len(x), dtype=bool))


def test_directions_and_correlations_are_those_of_another_library() -> None:
    from sklearn.cross_decomposition import CCA

    x, y = planted(400, 0)
    x, y = x - x.mean(0), y - y.mean(0)
    a, b = canonical_maps(Moments.of(x, y), 1e-9, 10)
    u, v = x @ a, y @ b
    ours = np.array([np.corrcoef(u[:, k], v[:, k])[0, 1] for k in range(4)])
    other = CCA(n_components=4, scale=False, max_iter=5000).fit(x, y)
    theirs = np.array([np.corrcoef(*(side[:, k] for side in other.transform(x, y)))[0, 1] for k in range(4)])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(np.sqrt((u**2).mean(0))[:4], ours, atol=1e-6)  # each direction weighs its correlation


def test_the_ridge_is_a_multiple_of_the_mean_variance() -> None:
    x, y = planted(50, 1)
    x, y = x - x.mean(0), y - y.mean(0)
    a, _ = canonical_maps(Moments.of(x, y), 2.0, 10)
    b, _ = canonical_maps(Moments.of(10 * x, y), 2.0, 10)
    np.testing.assert_allclose(np.abs(a), 10 * np.abs(b), rtol=1e-8, atol=1e-10)


def test_moments_add_and_weigh() -> None:
    x, y = planted(30, 2)
    whole, part = Moments.of(x, y), Moments.of(x[:10], y[:10]) + Moments.of(x[10:], y[10:])
    np.testing.assert_allclose(whole.xy, part.xy)
    np.testing.assert_allclose((whole - Moments.of(x[:10], y[:10])).yy, Moments.of(x[10:], y[10:]).yy)
    assert Moments.of(x, y, 0.5).count == 15.0


def test_a_plan_is_balanced_and_sure_where_cosines_are() -> None:
    cosine = np.random.default_rng(0).uniform(-1, 1, size=(12, 4))
    plan = transport_plan(cosine, 0.2, 200)
    np.testing.assert_allclose(plan.sum(1), np.ones(12), atol=1e-5)
    np.testing.assert_allclose(plan.sum(0), np.full(4, 3.0), atol=1e-3)
    np.testing.assert_allclose(transport_plan(np.eye(5)), np.eye(5), atol=1e-6)


def test_found_rate_by_hand() -> None:
    """Of two items at eleven others the first finds its own first, the second behind six."""
    cosine = np.full((2, 12), 0.0)
    cosine[0, 0], cosine[1, 1], cosine[1, 2:8] = 0.9, 0.1, 0.5
    right = np.zeros((2, 12), dtype=bool)
    right[0, 0] = right[1, 1] = True
    there = (1 / 2 + 1 / 2 + 1) / 3  # at 1, 5 and 10
    assert found_rate(cosine, right) == pytest.approx((there + 1) / 2)  # back: two to choose from, both first


def test_items_in_common_tie_rows() -> None:
    assert tied_items(np.array([[0, 5], [1, 6], [1, 7], [2, 7], [3, 8]])).tolist() in ([0, 1, 1, 1, 2],)


def test_few_pairs_find_what_they_share() -> None:
    towers = CanonicalTowers([12, 10], 8)
    towers.fit(sides(*planted(40, 0)))
    assert bool(towers.is_fitted) and not bool(towers.alone_helps)
    x, y = planted(100, 5)
    assert rate(towers, x, y) > 0.6  # by chance .053
    torch.testing.assert_close(towers(0, torch.tensor(x).float()).norm(dim=-1), torch.ones(100))


def clustered(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sides of 60 and 50 numbers that share in which of twelve places a row lies, and a little besides."""
    rng, draw = np.random.default_rng(3), np.random.default_rng(seed)
    places, left, right = rng.normal(size=(12, 6)), rng.normal(size=(6, 60)), rng.normal(size=(6, 50))
    hidden = places[draw.integers(12, size=rows)] + 0.3 * draw.normal(size=(rows, 6))
    return hidden @ left + 2 * draw.normal(size=(rows, 60)), hidden @ right + 2 * draw.normal(size=(rows, 50))


def test_sides_that_stand_alone_help_where_they_are_of_one_kind() -> None:
    alone = Sides(clustered(400, 1)[0], clustered(300, 2)[1], np.zeros(0))  # no two of them are a pair
    few, more = CanonicalTowers([60, 50], 32), CanonicalTowers([60, 50], 32)
    few.fit(sides(*clustered(40, 0)))
    more.fit(sides(*clustered(40, 0)), alone)
    assert bool(more.alone_helps) and not bool(few.alone_helps)
    gains = [rate(more, *clustered(100, seed)) - rate(few, *clustered(100, seed)) for seed in range(10, 15)]
    assert np.mean(gains) > 0.02


def test_sides_of_another_kind_are_left_out() -> None:
    x, y = planted(40, 0)
    draw = np.random.default_rng(3)
    strange = Sides(10 * draw.normal(size=(400, 12)), 10 * draw.normal(size=(400, 10)), np.zeros(0))
    few, more = CanonicalTowers([12, 10], 8), CanonicalTowers([12, 10], 8)
    few.fit(sides(x, y))
    more.fit(sides(x, y), strange)
    assert not bool(more.alone_helps)
    assert rate(more, *planted(100, 5)) == pytest.approx(rate(few, *planted(100, 5)), abs=0.01)


def test_too_few_pairs_fit_nothing() -> None:
    towers = CanonicalTowers([12, 10], 8)
    towers.fit(sides(*planted(15, 0)))
    assert not bool(towers.is_fitted)
    assert not towers(0, torch.ones(3, 12)).any()


class Rows:
    """Rows that are encoded already."""

    def __init__(self, encoded: list[Encoded], present_BM: torch.Tensor, key_BM: torch.Tensor) -> None:
        self.encoded, self.present_BM, self.key_BM = encoded, present_BM, key_BM
        self.target = np.zeros(len(present_BM))

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        rows = torch.arange(len(self.target)) if chosen is None else torch.from_numpy(chosen)
        yield SeenBatch(
            [Encoded(one.vector_BD[rows], None, None) for one in self.encoded], self.present_BM[rows], lambda: None,  # type: ignore[arg-type,return-value]
            self.key_BM[rows],
        )  # fmt: skip


def seen(x: np.ndarray, y: np.ndarray, extra: int = 0) -> Rows:
    """Rows of planted pairs, the left side with coordinates behind it that training changes."""
    left = torch.cat([torch.tensor(x).float(), torch.randn(len(x), extra)], dim=1)
    keys = torch.arange(len(x))[:, None].expand(-1, 2)
    encoded = [Encoded(left, None, None), Encoded(torch.tensor(y).float(), None, None)]
    return Rows(encoded, torch.ones(len(x), 2, dtype=torch.bool), keys)


def fusion(extra: int = 0, **options: Any) -> CosineFusion:
    torch.manual_seed(0)
    return CosineFusion(
        [EncodedDims(12 + extra), EncodedDims(10)], 24, copies=3, canonical=[12, 10], dropout=0.3, **options
    )


def test_validation_rows_choose_the_share_and_evaluation_uses_it() -> None:
    made, train, val = fusion(extra=5), seen(*planted(60, 0), extra=5), seen(*planted(80, 1), extra=5)
    made.observe(train)
    made.eval()
    made.calibrate_from(train, val)
    assert made.share.item() >= 0.7  # the trained copies are random yet
    unit_BMD = made.embed(val.encoded, val.present_BM)
    torch.testing.assert_close(unit_BMD.norm(dim=-1), torch.ones(80, 2))
    parts = made._units(val.encoded, val.present_BM)
    cosine_BK = (parts[:, 0] * parts[:, 1]).sum(-1)
    wanted = (1 - made.share) * cosine_BK[:, :2].mean(1) + made.share * cosine_BK[:, 2]
    torch.testing.assert_close((unit_BMD[:, 0] * unit_BMD[:, 1]).sum(1), wanted)
    made.train()
    torch.testing.assert_close(made.embed(val.encoded, val.present_BM).norm(dim=-1), torch.ones(80, 2))


def test_gradients_leave_it_alone_and_train_the_others() -> None:
    made, train = fusion(), seen(*planted(60, 0))
    made.observe(train)
    assert made.canonical is not None
    before = {name: value.clone() for name, value in made.canonical.state_dict().items()}
    head = DualEncoderHead(made.dims, 24, 1)
    fused = made.train()(train.encoded, train.present_BM)
    assert (fused.copies, fused.fixed) == (3, 1)
    loss = head.batch_loss(fused, train.present_BM, torch.zeros(60), torch.arange(60), train.key_BM)
    apart = CosineFusion(made.dims, 16, copies=2, dropout=0.0)
    apart.towers, apart.rooted_M = made.towers, made.rooted_M
    made.eval()
    made.share.fill_(1 / 3)
    alone = head.batch_loss(
        apart.eval()(train.encoded, train.present_BM), train.present_BM, torch.zeros(60), torch.arange(60), train.key_BM
    )
    with_it = head.batch_loss(
        made(train.encoded, train.present_BM), train.present_BM, torch.zeros(60), torch.arange(60), train.key_BM
    )
    torch.testing.assert_close(with_it, alone)  # the loss is that of the trained copies
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in made.towers.parameters())
    assert all(torch.equal(value, before[name]) for name, value in made.canonical.state_dict().items())


def test_too_few_pairs_leave_the_loss_of_the_trained_copies_as_it_is() -> None:
    made, train = fusion(), seen(*planted(10, 0))
    made.observe(train)
    apart = CosineFusion(made.dims, 16, copies=2)
    apart.towers, apart.rooted_M = made.towers, made.rooted_M
    rows = (train.present_BM, torch.zeros(10), torch.arange(10), train.key_BM)
    losses = [
        DualEncoderHead(made.dims, width, 1).batch_loss(one.eval()(train.encoded, train.present_BM), *rows)
        for one, width in ((made, 24), (apart, 16))
    ]
    torch.testing.assert_close(*losses)


def test_what_was_fitted_is_saved_with_the_weights() -> None:
    made, train, val = fusion(), seen(*planted(60, 0)), seen(*planted(80, 1))
    made.observe(train)
    made.eval()
    made.calibrate_from(train, val)
    other = fusion().eval()
    other.load_state_dict(made.state_dict())
    assert torch.equal(other.embed(val.encoded, val.present_BM), made.embed(val.encoded, val.present_BM))


def test_a_missing_side_is_zero_and_too_few_pairs_are_told() -> None:
    made, train = fusion(), seen(*planted(10, 0))
    made.observe(train)
    made.eval()
    assert "too few" in made.notes([])[0]
    train.present_BM[3, 1] = False
    unit_BMD = made.embed(train.encoded, train.present_BM)
    assert not unit_BMD[3, 1].any()
    torch.testing.assert_close(unit_BMD[0].norm(dim=-1), torch.ones(2))  # the trained copies answer alone


def test_repeated_and_missing_sides_are_sorted_out() -> None:
    """Five captions a photo are one photo among sides that stand alone; a row with one side is no pair."""
    made, train = fusion(), seen(*planted(60, 0))
    alone = seen(*planted(50, 1))
    alone.present_BM[:25, 1] = False
    alone.key_BM = torch.stack([torch.arange(50) // 5, torch.arange(50)], dim=1)
    alone.key_BM[:25, 1] = -1
    found = made._sides(alone, alone=True)
    assert (len(found.left), len(found.right)) == (10, 25)
    train.present_BM[0, 0] = False
    assert len(made._sides(train).left) == len(made._sides(train).right) == 59


def test_of_right_and_wrong_pairs_the_right_ones_are_looked_at_and_the_share_stays() -> None:
    made, train, val = fusion(), seen(*planted(60, 0)), seen(*planted(80, 1))
    train.target[::2] = val.target[::2] = 1
    assert len(made._sides(train).left) == 30
    made.observe(train)
    made.eval()
    made.calibrate_from(train, val)
    assert bool(made.canonical.is_fitted) and made.share.item() == pytest.approx(1 / 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"copies": 1}, {"copies": 2, "canonical": [12]}])
def test_towers_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="canonical towers stand beside trained ones and join two modalities"):
        CosineFusion(make_dims(2), 8, **{"canonical": [3, 3], **options})
    with pytest.raises(ValueError, match="join two modalities"):
        CosineFusion(make_dims(3), 8, copies=2, canonical=[3, 3])


def test_without_canonical_towers_sides_that_stand_alone_are_refused() -> None:
    rows = Rows(make_encoded(2, 4), torch.ones(4, 2, dtype=torch.bool), torch.arange(4)[:, None].expand(-1, 2))
    with pytest.raises(ValueError, match="this fusion has none"):
        CosineFusion(make_dims(2), 8).observe(rows, rows)
