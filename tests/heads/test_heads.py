"""Heads: the pair head's score, its alignment loss against a hand-written one, cohorts and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from plait.encoders.base import Encoded
from plait.fusion import Calibrated, CosineFusion, EncodedDims, FusionOutput, SeenBatch
from plait.heads import HEADS, DirectHead, LabelHead, PairHead

DIMS = [EncodedDims(5), EncodedDims(7)]
WIDTH = 4


def pair_head() -> PairHead:
    head = PairHead(DIMS, WIDTH, 2).double().eval()
    with torch.no_grad():
        head.bias.fill_(0.125)
    return head


def unit_sides(rows: int, seed: int = 0, present: torch.Tensor | None = None) -> FusionOutput:
    """What the cosine fusion hands out: unit vectors [B, 2, D], zeros where a side is missing."""
    generator = torch.Generator().manual_seed(seed)
    encoded = [
        Encoded(torch.randn(rows, d.vector_dim, generator=generator, dtype=torch.float64), None, None) for d in DIMS
    ]
    torch.manual_seed(3)
    with torch.no_grad():
        return CosineFusion(DIMS, WIDTH).double()(encoded, both(rows) if present is None else present)


def arrays(fused: FusionOutput) -> tuple[np.ndarray, np.ndarray]:
    return fused.tokens[:, 0].numpy(), fused.tokens[:, 1].numpy()


def all_right(rows: int) -> torch.Tensor:
    return torch.ones(rows, dtype=torch.bool)


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
    fused = FusionOutput(torch.tensor([[2.0, 3.0]]))
    assert head(fused, both(1)).tolist() == [[2.5, 6.0, 2.0]]
    assert head.alignment_loss(fused, both(1), torch.zeros(1), own_keys(1), all_right(1)) is None
    assert set(HEADS.names()) == {"label", "pair", "direct", "generate", "towers", "members"}


def test_alignment_loss_is_the_symmetric_cross_entropy() -> None:
    head, fused = pair_head(), unit_sides(6)
    left, right = arrays(fused)
    got = head.alignment_loss(fused, both(6), torch.arange(6), own_keys(6), all_right(6))
    wanted = symmetric_cross_entropy(left, right, 1 / 0.07, np.ones((6, 6), dtype=bool))
    assert value(got) == pytest.approx(wanted, abs=1e-6)  # the temperature is stored in float32


def test_alignment_leaves_out_group_mates_and_repeated_items() -> None:
    head, fused = pair_head(), unit_sides(5)
    group = torch.tensor([0, 0, 1, 2, 3])
    keys = torch.tensor([[0, 0], [0, 1], [2, 2], [3, 2], [4, 4]])  # rows 0, 1 share a photo; rows 2, 3 a caption
    allowed = np.ones((5, 5), dtype=bool)
    for i, j in ((0, 1), (2, 3)):
        allowed[i, j] = allowed[j, i] = False
    got = value(head.alignment_loss(fused, both(5), group, keys, all_right(5)))
    assert got == pytest.approx(symmetric_cross_entropy(*arrays(fused), 1 / 0.07, allowed), abs=1e-6)
    assert value(head.alignment_loss(fused, both(5), torch.arange(5), own_keys(5), all_right(5))) > got


def test_alignment_drops_incomplete_and_wrong_pairs_and_needs_two() -> None:
    head = pair_head()
    present = torch.tensor([[True, True], [True, False], [True, True], [True, True], [True, True]])
    right = torch.tensor([True, True, True, True, False])
    fused = unit_sides(5, present=present)
    kept = torch.tensor([0, 2, 3])
    smaller = FusionOutput(fused.fused_BD[kept], tokens=fused.tokens[kept])
    got = head.alignment_loss(fused, present, torch.arange(5), own_keys(5), right)
    wanted = head.alignment_loss(smaller, both(3), torch.arange(3), own_keys(3), all_right(3))
    assert value(got) == pytest.approx(value(wanted), abs=1e-12)
    only = torch.tensor([[True, True], [True, False], [False, True], [False, False], [False, False]])
    assert head.alignment_loss(fused, only, torch.arange(5), own_keys(5), all_right(5)) is None


def test_temperature_is_capped_at_one_hundred() -> None:
    head, fused = pair_head(), unit_sides(3)
    with torch.no_grad():
        head.log_temperature.fill_(20.0)
    wanted = symmetric_cross_entropy(*arrays(fused), 100.0, np.ones((3, 3), dtype=bool))
    got = value(head.alignment_loss(fused, both(3), torch.arange(3), own_keys(3), all_right(3)))
    assert got == pytest.approx(wanted, rel=1e-6)


def test_temperature_above_its_ceiling_comes_back_and_learns() -> None:
    head, fused = pair_head(), unit_sides(3)
    with torch.no_grad():
        head.log_temperature.fill_(6.0)
    head.alignment_loss(fused, both(3), torch.arange(3), own_keys(3), all_right(3)).backward()
    assert head.log_temperature.grad.item() != 0.0
    head.after_step()
    assert head.log_temperature.item() == pytest.approx(np.log(100.0))


def test_score_before_calibration_is_the_scaled_cosine() -> None:
    head, fused = pair_head(), unit_sides(4)
    left, right = arrays(fused)
    for mode in (True, False):
        logits = head.train(mode)(fused, both(4)).detach().numpy()
        np.testing.assert_allclose(logits[:, 1] - logits[:, 0], 10 * (left * right).sum(1) + 0.125, atol=1e-12)
        np.testing.assert_allclose(logits.sum(1), 0.0, atol=1e-12)


def test_a_missing_side_leaves_the_constant_alone() -> None:
    head = pair_head()
    head.calibrate([1.0, 5.0, 5.0, 0.0])
    present = torch.tensor([[True, False], [False, True], [False, False]])
    fused = unit_sides(3, present=present)
    logits = head(fused, present).detach()
    assert (logits[:, 1] - logits[:, 0]).tolist() == [0.125] * 3
    assert head.evidence(fused, present)[:, 1:].abs().max() == 0


def test_cohort_numbers_are_the_cosine_above_the_nearest_ten() -> None:
    head, fused = pair_head(), unit_sides(3)
    cohort = [torch.nn.functional.normalize(torch.randn(50, WIDTH, dtype=torch.float64), dim=1) for _ in range(2)]
    head.set_cohort(*cohort)
    left, right = arrays(fused)
    got = head.evidence(fused, both(3)).detach().numpy()
    for i in range(3):
        cosine = left[i] @ right[i]
        with_right, with_left = cohort[1].numpy() @ left[i], cohort[0].numpy() @ right[i]
        assert got[i, 1] == pytest.approx(cosine - np.sort(with_right)[-10:].mean(), abs=1e-12)
        assert got[i, 2] == pytest.approx(cosine - np.sort(with_left)[-10:].mean(), abs=1e-12)


def test_small_and_large_cohorts() -> None:
    head, fused = pair_head(), unit_sides(3)
    assert head.evidence(fused, both(3))[:, 1:].abs().max() == 0  # none yet
    few = torch.nn.functional.normalize(torch.randn(3, WIDTH, dtype=torch.float64), dim=1)
    head.set_cohort(few, few)
    left, right = arrays(fused)
    wanted = (left * right).sum(1) - (left @ few.numpy().T).mean(1)
    np.testing.assert_allclose(head.evidence(fused, both(3))[:, 1].detach().numpy(), wanted, atol=1e-12)
    many = torch.arange(5000.0, dtype=torch.float64)[:, None].repeat(1, WIDTH)
    head.set_cohort(many, few)
    assert len(head.left_cohort_ND) == 4096 and len(head.right_cohort_ND) == 3
    assert (head.left_cohort_ND[0, 0], head.left_cohort_ND[-1, 0]) == (0.0, 4999.0)
    again = PairHead(DIMS, WIDTH, 2).double()
    again.load_state_dict(head.state_dict())
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in head.state_dict().items())


def test_calibration_weighs_the_evidence() -> None:
    head, fused = pair_head(), unit_sides(4)
    head.set_cohort(*(torch.randn(20, WIDTH, dtype=torch.float64) for _ in range(2)))
    head.calibrate([0.5, 2.0, -1.0, 0.25])
    evidence = head.evidence(fused, both(4)).detach().numpy()
    logits = head(fused, both(4)).detach().numpy()
    wanted = evidence @ np.array([0.5, 2.0, -1.0]) + 0.25
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted, atol=1e-12)
    assert {"calibration", "left_cohort_ND", "right_cohort_ND"} <= set(head.state_dict())


def test_the_pair_head_refuses_what_is_no_pair() -> None:
    with pytest.raises(ValueError, match="got 3 modalities and 2 outputs"):
        PairHead([*DIMS, EncodedDims(3)], WIDTH, 2)
    with pytest.raises(ValueError, match="task.head=label"):
        PairHead(DIMS, WIDTH, 3)


def test_direct_head_hands_late_logits_on_and_refuses_features() -> None:
    logits_BC = torch.tensor([[1.0, -2.0, 0.5]])
    assert torch.equal(DirectHead(DIMS, 3, 3)(FusionOutput(logits_BC), both(1)), logits_BC)
    with pytest.raises(ValueError, match="needs a late fusion, whose vector is as wide as the 3 outputs; got width 8"):
        DirectHead(DIMS, 8, 3)


class FakeRows:
    """Rows as ``calibrate_from`` sees them."""

    def __init__(self, fused: FusionOutput, target: np.ndarray) -> None:
        self.fused, self.target = fused, target

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        for part in torch.from_numpy(np.arange(len(self.target)) if chosen is None else chosen).split(16):
            batch = FusionOutput(self.fused.fused_BD[part], tokens=self.fused.tokens[part])
            keys_BM = torch.stack([part // 4, part], dim=1)  # two right rows in a row share their left item
            yield SeenBatch([], both(len(part)), partial(lambda b: b, batch), keys_BM)


def test_calibration_takes_the_cohort_of_right_training_pairs_and_the_weights_of_validation() -> None:
    from sklearn.linear_model import LogisticRegression

    head = pair_head()
    assert isinstance(head, Calibrated) and not isinstance(LabelHead(DIMS, 2, 3), Calibrated)
    train = FakeRows(unit_sides(40), np.arange(40) % 2)
    val = FakeRows(unit_sides(30, seed=1), np.arange(30) % 3 % 2)
    before = head.calibration.clone()
    with torch.no_grad():
        head.calibrate_from(train, FakeRows(unit_sides(30, seed=1), np.ones(30, dtype=np.int64)))  # one class: nothing
        assert torch.equal(head.calibration, before)
        head.calibrate_from(train, val)
        assert torch.equal(head.left_cohort_ND, train.fused.tokens[1::4, 0])  # each item once
        assert torch.equal(head.right_cohort_ND, train.fused.tokens[1::2, 1])
        evidence = torch.cat([head.evidence(b.fuse(), b.present_BM) for b in val.batches()]).numpy()
    spread = evidence.std(0)
    model = LogisticRegression(C=100.0).fit(evidence / spread, val.target)
    wanted = [*(model.coef_[0] / spread), model.intercept_[0]]
    np.testing.assert_allclose(head.calibration.numpy(), wanted, rtol=1e-5)
