"""Mixing: one share and one order for all modalities, exact areas, masks, targets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fixtures.lazy import lazy
from plait.fusion.mixing import Box, draw_box, draw_partners, paste, share_outside

mixup = lazy("plait.fusion.mixup")
Encoded = lazy("plait.encoders.base", "Encoded")


def encoded(*values: torch.Tensor) -> list[Any]:
    return [Encoded(v, None, None) for v in values]


def test_a_row_with_nothing_in_common_with_its_partner_is_its_own() -> None:
    present = torch.tensor([[True, False]] * 5 + [[False, True]] * 5)
    for seed in range(20):
        torch.manual_seed(seed)
        other = draw_partners(present)
        assert bool((present & present[other]).any(dim=1).all())
        torch.manual_seed(seed)
        order = torch.randperm(10)
        own = ~(present & present[order]).any(dim=1)
        assert torch.equal(other, torch.where(own, torch.arange(10), order)) and bool(own.any())


@pytest.mark.parametrize("seed", range(5))
def test_one_share_and_one_order_for_all_modalities(seed: int) -> None:
    torch.manual_seed(seed)
    rows = torch.arange(6.0)
    made, other, share = mixup.mixed(
        encoded(rows[:, None], 10 * rows[:, None], rows[:, None].repeat(1, 3)), torch.ones(6, 3, dtype=torch.bool), 0.4
    )
    wanted = share * rows + (1 - share) * rows[other]
    assert torch.allclose(made[0].vector_BD[:, 0], wanted) and torch.allclose(made[1].vector_BD[:, 0], 10 * wanted)
    assert torch.allclose(made[2].vector_BD, wanted[:, None].repeat(1, 3))


@pytest.mark.parametrize("seed", range(8))
def test_the_area_of_cutmix_is_exact_and_blends_all_else(seed: int) -> None:
    """Picture i is filled with i: of each, exactly a share l stays, and vectors and losses follow that l."""
    torch.manual_seed(seed)
    pixels = torch.arange(6.0)[:, None, None, None].expand(6, 3, 20, 30).clone()
    present = torch.ones(6, 3, dtype=torch.bool)
    present[4, 0] = False
    inputs = {"photo": {"pixel_values": pixels}, "text": {"vector_BD": torch.arange(6.0)[:, None]},
              "view": {"pixel_values": pixels[..., :10]}}  # fmt: skip
    mixing = mixup.RowMixing("cutmix")
    made = mixing.cut(inputs, list(inputs), present)
    share, other = float(mixing.share), mixing.other_B
    own = (made["photo"]["pixel_values"] == pixels)[:, 0].float().mean(dim=(1, 2))
    for i in range(6):
        both = i != 4 and other[i] != 4 and other[i] != i
        assert float(own[i]) == pytest.approx(share if both else 1.0, abs=1e-6)
    assert torch.equal(pixels[:, 0, 0, 0], torch.arange(6.0))  # the given tensors are untouched
    assert torch.equal(made["view"]["pixel_values"], pixels[..., :10])  # another size: blended once it is encoded
    blended = mixing.blend(encoded(torch.zeros(6, 1), inputs["text"]["vector_BD"], torch.arange(6.0)[:, None]), present,
                           [{"kind": "image"}, {"kind": "text"}, {"kind": "image"}])  # fmt: skip
    wanted = share * torch.arange(6.0) + (1 - share) * other
    assert torch.equal(blended[0].vector_BD, torch.zeros(6, 1))
    assert torch.allclose(blended[1].vector_BD[:, 0], wanted) and torch.allclose(blended[2].vector_BD[:, 0], wanted)
    target = torch.arange(6)
    loss = mixing.loss(torch.tensor(1.0), torch.zeros(6, 2), target, lambda _, partner: partner.float().sum())
    assert float(loss) == pytest.approx(share + (1 - share) * float(other.sum()), abs=1e-4)


def test_boxes_count_their_pixels() -> None:
    for share in (0.0, 0.3, 0.9, 1.0):
        for _ in range(20):
            box = draw_box(17, 23, share)
            picture = torch.zeros(2, 1, 17, 23)
            picture[1] = 1.0
            made = paste(picture, torch.tensor([1, 0]), box, torch.tensor([True, False]))
            assert float(made[0].sum()) == box.area
            assert share_outside(box, 17, 23) == pytest.approx(1 - float(made[0].mean()), abs=1e-6)
            assert float(made[1].mean()) == 1.0
    assert draw_box(8, 8, 1.0).area == 0 and Box(0, 2, 1, 4).area == 6


def test_mixed_targets_are_soft_targets() -> None:
    """Two cross-entropies mixed are that of the soft target; two squares that of the mixed number, but a constant."""
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    share, log_p = 0.7, torch.log_softmax(logits, 1)
    mixed_loss = -share * log_p[0, 0] - 0.3 * log_p[0, 2]
    soft = torch.nn.functional.cross_entropy(logits, torch.tensor([[0.7, 0.0, 0.3]]))
    assert float(mixed_loss) == pytest.approx(float(soft))
    x, a, b = torch.tensor(1.3, requires_grad=True), 2.0, 5.0
    two = share * (x - a) ** 2 + (1 - share) * (x - b) ** 2
    one = (x - (share * a + (1 - share) * b)) ** 2
    assert torch.allclose(torch.autograd.grad(two, x)[0], torch.autograd.grad(one, x)[0])


def test_mixgen_joins_pairs_and_their_words() -> None:
    tokens = torch.arange(8.0)[:, None, None].expand(8, 2, 1).clone()
    mask = torch.tensor([[True, False]] + [[True, True]] * 7)
    present = torch.ones(8, 2, dtype=torch.bool)
    present[3, 0] = False  # the partner of row 1
    photo, text = mixup.mixed_pairs(
        [Encoded(torch.arange(8.0)[:, None], None, None), Encoded(torch.arange(8.0)[:, None], tokens, mask)],
        present, [False, True],
    )  # fmt: skip
    assert photo.vector_BD[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert text.vector_BD[:, 0].tolist() == photo.vector_BD[:, 0].tolist()
    assert text.mask_BT[:2].tolist() == [[True, False, True, True], [True, True, False, False]]
    assert text.tokens_BTD[0, :, 0].tolist() == [0, 0, 2, 2]


def test_nothing_is_mixed_without_a_word() -> None:
    one = encoded(torch.ones(3, 2))
    mixing = mixup.RowMixing(0.0)
    inputs: dict[str, Any] = {"a": {}}
    state = torch.get_rng_state()
    assert mixing.cut(inputs, ["a"], torch.ones(3, 1, dtype=torch.bool)) is inputs
    assert mixing.blend(one, torch.ones(3, 1, dtype=torch.bool), [{"kind": "text"}]) is one
    loss = torch.tensor(2.0)
    assert mixing.loss(loss, loss, loss, lambda *_: loss) is loss
    assert torch.equal(torch.get_rng_state(), state)
