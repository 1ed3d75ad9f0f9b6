"""Heads: the pair head's score, its alignment loss against a hand-written one, cohorts and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from plait.encoders.base import Encoded
from plait.fusion import Calibrated, EncodedDims, FusionOutput, SeenBatch
from plait.heads import HEADS, DirectHead, LabelHead, PairHead

DIMS = [EncodedDims(5), EncodedDims(7)]
WIDTH = 4


def pair_head() -> PairHead:
    torch.manual_seed(3)
    head = PairHead(DIMS, WIDTH, 2).double().eval()
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[0.5, -1.0, 0.25, 2.0]]))
        head.linear.bias.fill_(0.125)
    return head


def sides(rows: int, seed: int = 0) -> list[Encoded]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Encoded(torch.randn(rows, d.vector_dim, generator=generator, dtype=torch.float64), None, None) for d in DIMS
    ]


def fused(rows: int) -> FusionOutput:
    return FusionOutput(torch.arange(rows * WIDTH, dtype=torch.float64).reshape(rows, WIDTH) / 10)


def symmetric_cross_entropy(left: np.ndarray, right: np.ndarray, scale: float, allowed: np.ndarray) -> float:
    """The loss in plain loops; ``allowed[i, j]`` says whether j may stand against i."""
    total = 0.0
    for a, b in ((left, right), (right, left)):
        for i in range(len(a)):
            scores = [scale * a[i] @ b[j] for j in range(len(b)) if i == j or allowed[i, j]]
            total += math.log(sum(math.exp(s) for s in scores)) - scale * a[i] @ b[i]
    return total / (2 * len(left))


def value(loss: torch.Tensor | None) -> float:
    assert loss is not None
    return float(loss.detach())


def both(rows: int) -> torch.Tensor:
    return torch.ones(rows, 2, dtype=torch.bool)


def own_keys(rows: int) -> torch.Tensor:
    return torch.arange(rows)[:, None].repeat(1, 2)


def test_label_head_is_the_linear_map() -> None:
    head = LabelHead(DIMS, 2, 3)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]))
        head.linear.bias.copy_(torch.tensor([0.5, 0.0, 1.0]))
    logits = head(FusionOutput(torch.tensor([[2.0, 3.0]])), [], both(1))
    assert logits.tolist() == [[2.5, 6.0, 2.0]]
    assert head.alignment_loss([], both(1), torch.zeros(1), own_keys(1)) is None
    assert set(HEADS.names()) == {"label", "pair", "direct"}


def test_alignment_loss_is_the_symmetric_cross_entropy() -> None:
    head, rows = pair_head(), sides(6)
    left, right = (s.detach().numpy() for s in head.embed(rows, both(6)))
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1.0, atol=1e-12)
    got = head.alignment_loss(rows, both(6), torch.arange(6), own_keys(6))
    wanted = symmetric_cross_entropy(left, right, 1 / 0.07, np.ones((6, 6), dtype=bool))
    assert value(got) == pytest.approx(wanted, abs=1e-6)  # the temperature is stored in float32


def test_alignment_leaves_out_group_mates_and_repeated_items() -> None:
    head, rows = pair_head(), sides(5)
    group = torch.tensor([0, 0, 1, 2, 3])
    keys = torch.tensor([[0, 0], [0, 1], [2, 2], [3, 2], [4, 4]])  # rows 0, 1 share a photo; rows 2, 3 a caption
    allowed = np.ones((5, 5), dtype=bool)
    for i, j in ((0, 1), (2, 3)):
        allowed[i, j] = allowed[j, i] = False
    left, right = (s.detach().numpy() for s in head.embed(rows, both(5)))
    got = value(head.alignment_loss(rows, both(5), group, keys))
    assert got == pytest.approx(symmetric_cross_entropy(left, right, 1 / 0.07, allowed), abs=1e-6)
    free = value(head.alignment_loss(rows, both(5), torch.arange(5), own_keys(5)))
    assert free > got


def test_alignment_drops_incomplete_pairs_and_needs_two() -> None:
    head, rows = pair_head(), sides(4)
    present = torch.tensor([[True, True], [True, False], [True, True], [True, True]])
    rows[1].vector_BD[1] = float("nan")
    kept = torch.tensor([0, 2, 3])
    smaller = [Encoded(e.vector_BD[kept], None, None) for e in rows]
    got = head.alignment_loss(rows, present, torch.arange(4), own_keys(4))
    assert value(got) == pytest.approx(
        value(head.alignment_loss(smaller, both(3), torch.arange(3), own_keys(3))), abs=1e-12
    )
    only = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    assert head.alignment_loss(rows, only, torch.arange(4), own_keys(4)) is None


def test_temperature_is_capped_at_one_hundred() -> None:
    head, rows = pair_head(), sides(3)
    with torch.no_grad():
        head.log_temperature.fill_(20.0)
    left, right = (s.detach().numpy() for s in head.embed(rows, both(3)))
    wanted = symmetric_cross_entropy(left, right, 100.0, np.ones((3, 3), dtype=bool))
    got = value(head.alignment_loss(rows, both(3), torch.arange(3), own_keys(3)))
    assert got == pytest.approx(wanted, rel=1e-6)


def test_score_before_calibration_is_scaled_cosine_plus_linear() -> None:
    head, rows = pair_head(), sides(4)
    left, right = (s.detach().numpy() for s in head.embed(rows, both(4)))
    h = fused(4).fused_BD.numpy()
    raw = 10 * (left * right).sum(1) + h @ np.array([0.5, -1.0, 0.25, 2.0]) + 0.125
    logits = head(fused(4), rows, both(4)).detach().numpy()
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], raw, atol=1e-12)
    np.testing.assert_allclose(logits.sum(1), 0.0, atol=1e-12)


def test_a_missing_side_leaves_the_linear_reading_alone() -> None:
    head, rows = pair_head(), sides(3)
    head.calibrate([1.0, 5.0, 5.0, 0.0])
    present = torch.tensor([[True, False], [False, True], [False, False]])
    rows[0].vector_BD[1:] = float("nan")
    rows[1].vector_BD[0] = float("nan")
    logits = head(fused(3), rows, present).detach()
    wanted = head.linear(fused(3).fused_BD).squeeze(1).detach()
    assert torch.equal(logits[:, 1] - logits[:, 0], wanted)
    assert head.evidence(fused(3), rows, present)[:, 1:].abs().max() == 0


def test_cohort_numbers_are_z_scores_of_the_cosine() -> None:
    head, rows = pair_head(), sides(3)
    cohort = [torch.nn.functional.normalize(torch.randn(50, WIDTH, dtype=torch.float64), dim=1) for _ in range(2)]
    head.set_cohort(*cohort)
    left, right = (s.detach().numpy() for s in head.embed(rows, both(3)))
    got = head.evidence(fused(3), rows, both(3)).detach().numpy()
    for i in range(3):
        cosine = left[i] @ right[i]
        with_right, with_left = cohort[1].numpy() @ left[i], cohort[0].numpy() @ right[i]
        assert got[i, 1] == pytest.approx((cosine - with_right.mean()) / with_right.std(), abs=1e-9)
        assert got[i, 2] == pytest.approx((cosine - with_left.mean()) / with_left.std(), abs=1e-9)


def test_calibration_weighs_the_evidence() -> None:
    head, rows = pair_head(), sides(4)
    head.set_cohort(*(torch.randn(20, WIDTH, dtype=torch.float64) for _ in range(2)))
    head.calibrate([0.5, 2.0, -1.0, 0.25])
    evidence = head.evidence(fused(4), rows, both(4)).detach().numpy()
    logits = head(fused(4), rows, both(4)).detach().numpy()
    wanted = evidence @ np.array([0.5, 2.0, -1.0]) + 0.25
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted, atol=1e-12)
    assert {"calibration", "left_mean_D", "right_covariance_DD"} <= set(head.state_dict())


def test_the_pair_head_refuses_what_is_no_pair() -> None:
    with pytest.raises(ValueError, match="got 3 modalities and 2 outputs"):
        PairHead([*DIMS, EncodedDims(3)], WIDTH, 2)
    with pytest.raises(ValueError, match="task.head=label"):
        PairHead(DIMS, WIDTH, 3)


def test_gradient_at_an_exact_zero_is_finite() -> None:
    head, rows = pair_head(), sides(3)
    rows[0].vector_BD[0, 2] = 0.0  # a trained encoder that ends in a ReLU gives such
    rows[0].vector_BD.requires_grad_()
    loss = head.alignment_loss(rows, both(3), torch.arange(3), own_keys(3))
    assert loss is not None
    loss.backward()
    assert torch.isfinite(rows[0].vector_BD.grad).all()


def test_direct_head_hands_late_logits_on_and_refuses_features() -> None:
    logits_BC = torch.tensor([[1.0, -2.0, 0.5]])
    assert torch.equal(DirectHead(DIMS, 3, 3)(FusionOutput(logits_BC), [], both(1)), logits_BC)
    with pytest.raises(ValueError, match="needs a late fusion, whose vector is as wide as the 3 outputs; got width 8"):
        DirectHead(DIMS, 8, 3)


class FakeRows:
    """Rows as ``calibrate_from`` sees them."""

    def __init__(self, rows: list[Encoded], target: np.ndarray) -> None:
        self.rows, self.target = rows, target

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        for part in torch.from_numpy(np.arange(len(self.target)) if chosen is None else chosen).split(16):
            encoded = [Encoded(side.vector_BD[part], None, None) for side in self.rows]
            yield SeenBatch(encoded, both(len(part)), partial(fused, len(part)))


def test_calibration_takes_the_cohort_of_right_training_pairs_and_the_weights_of_validation() -> None:
    head = pair_head()
    assert isinstance(head, Calibrated) and not isinstance(LabelHead(DIMS, 2, 3), Calibrated)
    train, val = FakeRows(sides(40), np.arange(40) % 2), FakeRows(sides(30, seed=1), np.arange(30) % 3 % 2)
    before = head.calibration.clone()
    with torch.no_grad():
        head.calibrate_from(train, FakeRows(sides(30, seed=1), np.ones(30, dtype=np.int64)))  # one class: nothing
        assert torch.equal(head.calibration, before)
        head.calibrate_from(train, val)
        right = [Encoded(side.vector_BD[1::2], None, None) for side in train.rows]
        left_BD = head.embed(right, both(20))[0]
        torch.testing.assert_close(head.left_mean_D, left_BD.mean(0))
        evidence = torch.cat([head.evidence(b.fuse(), b.encoded, b.present_BM) for b in val.batches()]).numpy()
    spread = evidence.std(0)
    model = LogisticRegression(C=100.0).fit(evidence / spread, val.target)
    wanted = [*(model.coef_[0] / spread), model.intercept_[0]]
    np.testing.assert_allclose(head.calibration.numpy(), wanted, rtol=1e-5)
