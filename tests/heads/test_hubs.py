"""The hub correction inside unit vectors: their inner products are CSLS, whatever index computes them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from fixtures.encoded import unit
from plait.encoders.base import Encoded
from plait.fusion import CosineFusion, EncodedDims, FusionOutput, SeenBatch
from plait.heads import DualEncoderHead
from plait.heads.hub_space import stretch
from plait.heads.hubs import hub_score, with_hubs


@pytest.mark.parametrize("sides", [2, 3])
def test_inner_products_are_the_corrected_cosines(sides: int) -> None:
    vectors = unit(5, sides, 6)
    hubs = torch.rand(5, sides, dtype=torch.float64) * 2 - 1
    made = with_hubs(vectors, hubs)
    assert made.shape == (5, sides, 6 + 2 * sides)
    np.testing.assert_allclose(made.norm(dim=2).numpy(), 1.0, atol=1e-12)
    constant = (sides - 2) / (2 * (sides - 1) ** 0.5)
    for a, b in permutations(range(sides), 2):
        cosine = vectors[:, a] @ vectors[:, b].T
        wanted = cosine - (hubs[:, a, None] + hubs[None, :, b]) / 2 + constant
        np.testing.assert_allclose((made[:, a] @ made[:, b].T * stretch(sides)).numpy(), wanted.numpy(), atol=1e-12)


def test_hub_score_is_the_mean_of_the_ten_nearest() -> None:
    cohort, item = unit(30, 4, seed=1), unit(3, 4, seed=2)
    by_hand = np.sort((item @ cohort.T).numpy(), axis=1)[:, -10:].mean(1)
    np.testing.assert_allclose(hub_score(item, cohort).numpy(), by_hand, atol=1e-12)
    np.testing.assert_allclose(hub_score(item, cohort[:4]).numpy(), (item @ cohort[:4].T).mean(1).numpy(), atol=1e-12)


class Rows:
    """Rows with known vectors: eight photos with three captions each; the last row lacks its caption."""

    def __init__(self) -> None:
        self.target = np.zeros(24)
        self.tokens = unit(24, 2, 6, seed=3).float()
        self.tokens[:, 0] = self.tokens[::3, 0].repeat_interleave(3, dim=0)
        self.keys = torch.stack([torch.arange(24) // 3, torch.arange(24)], dim=1)
        self.keys[23, 1] = -1

    def batches(self, chosen: np.ndarray | None = None):  # type: ignore[no-untyped-def]
        rows = torch.arange(24) if chosen is None else torch.from_numpy(chosen)
        for part in rows.split(7):
            tokens = self.tokens[part]
            fused = FusionOutput(tokens.sum(1), tokens=tokens)
            yield SeenBatch([], self.keys[part] >= 0, lambda fused=fused: fused, self.keys[part])


def test_cohorts_hold_each_training_item_once_and_travel_with_the_weights() -> None:
    head = DualEncoderHead([EncodedDims(3)] * 2, 6, 1, hubs=True)
    assert head.notes([]) and head.dim == 10
    rows = Rows()
    head.calibrate_from(rows, rows)
    assert torch.equal(head.cohort(0), rows.tokens[::3, 0]) and torch.equal(head.cohort(1), rows.tokens[:23, 1])
    assert head.notes([]) == []
    again = DualEncoderHead([EncodedDims(3)] * 2, 6, 1, hubs=True)
    again.load_state_dict(head.state_dict())
    present = torch.ones(4, 2, dtype=torch.bool)
    present[3, 0] = False
    fused = FusionOutput(torch.zeros(4, 6), tokens=unit(4, 2, 6, seed=4).float() * present[..., None])
    assert torch.equal(again.embed(fused, present), head.embed(fused, present))
    assert not head.embed(fused, present)[3, 0].any()


def test_a_hub_is_found_less_often() -> None:
    """Photo h is near to every caption, in training and after; without the correction it wins, with it photo 1 does."""
    head = DualEncoderHead([EncodedDims(3)] * 2, 3, 1, hubs=True)
    head.cohort_1_ND = torch.tensor([[0.9, 0.436, 0.0], [0.9, -0.436, 0.0]])  # training captions lie about the hub
    head.cohort_0_ND = torch.tensor([[1.0, 0.0, 0.0]])
    photos = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8]])
    caption = torch.tensor([[0.92, 0.0, 0.392]]).repeat(2, 1)
    tokens = torch.nn.functional.normalize(torch.stack([photos, caption], dim=1), dim=2)
    made = head.embed(FusionOutput(photos, tokens=tokens), torch.ones(2, 2, dtype=torch.bool))
    plain, corrected = tokens[:, 0] @ tokens[0, 1], 2 * made[:, 0] @ made[0, 1]
    assert plain.tolist() == pytest.approx([0.92, 0.8656], abs=1e-3)  # the hub is first
    hub = [0.9, 0.54]  # mean cosine of each photo with the training captions
    own = 0.92  # cosine of the caption with the one training photo
    wanted = [0.92 - (hub[0] + own) / 2, 0.8656 - (hub[1] + own) / 2]
    assert corrected.tolist() == pytest.approx(wanted, abs=1e-3)
    assert corrected[0] < corrected[1]


def test_cosine_without_projections_is_the_cosine_of_what_comes_in() -> None:
    fusion = CosineFusion([EncodedDims(4), EncodedDims(4)], 4, project=False)
    left, right = torch.rand(3, 4), torch.randn(3, 4)
    encoded = [Encoded(left, None, None), Encoded(right, None, None)]
    present = torch.ones(3, 2, dtype=torch.bool)
    tokens = fusion(fusion.prepare(encoded, present), present).tokens
    assert tokens is not None
    torch.testing.assert_close(tokens[:, 0], torch.nn.functional.normalize(left, dim=1))
    torch.testing.assert_close(tokens[:, 1], torch.nn.functional.normalize(right, dim=1))
    with pytest.raises(ValueError, match="and 5 wide or more"):
        CosineFusion([EncodedDims(4), EncodedDims(5)], 5, project=False)
