"""Contrastive losses against plain loops in float64, CLIP's own definition, and the towers head that uses them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plait.fusion import EncodedDims, FusionOutput
from plait.heads import DualEncoderHead
from plait.heads.contrastive import (
    contrastive_loss,
    grouped_contrastive_loss,
    hardest_triplet_loss,
    same_items,
    sigmoid_loss,
)

ROWS, WIDTH = 6, 4
GROUP = torch.tensor([0, 0, 1, 2, 2, 3])
KEYS = torch.tensor([[0, 0], [0, 1], [1, 2], [2, 3], [2, 4], [3, 2]])  # rows 2 and 5 show the same second item
SCALE, BIAS, MARGIN = 3.0, -1.5, 0.3


def unit(seed: int, rows: int = ROWS) -> torch.Tensor:
    drawn = torch.randn(rows, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


def same() -> np.ndarray:
    """What may not count as wrong, written down by hand from GROUP and KEYS."""
    table = np.zeros((ROWS, ROWS), dtype=bool)
    for i, j in ((0, 1), (3, 4), (2, 5)):
        table[i, j] = table[j, i] = True
    return table


def infonce(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for a, b in ((left, right), (right, left)):
        for i in range(ROWS):
            kept = [math.exp(SCALE * a[i] @ b[j]) for j in range(ROWS) if not same()[i, j]]
            total -= math.log(math.exp(SCALE * a[i] @ b[i]) / sum(kept))
    return total / (2 * ROWS)


def grouped(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for a, b in ((left, right), (right, left)):
        for i in range(ROWS):
            whole = sum(math.exp(SCALE * a[i] @ b[j]) for j in range(ROWS))
            right_ones = [j for j in range(ROWS) if j == i or same()[i, j]]
            total -= sum(SCALE * a[i] @ b[j] - math.log(whole) for j in right_ones) / len(right_ones)
    return total / (2 * ROWS)


def siglip(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for i in range(ROWS):
        for j in range(ROWS):
            if i == j or not same()[i, j]:
                sign = 1 if i == j else -1
                total += math.log(1 + math.exp(-sign * (SCALE * left[i] @ right[j] + BIAS)))
    return total / ROWS


def triplet(left: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for a, b in ((left, right), (right, left)):
        for i in range(ROWS):
            wrong = [a[i] @ b[j] for j in range(ROWS) if j != i and not same()[i, j]]
            total += max(0.0, MARGIN + max(wrong) - a[i] @ b[i])
    return total / ROWS


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


LOSSES = {
    "infonce": (infonce, lambda a, b, s: contrastive_loss(a, b, s, number(SCALE))),
    "grouped": (grouped, lambda a, b, s: grouped_contrastive_loss(a, b, s, number(SCALE))),
    "siglip": (siglip, lambda a, b, s: sigmoid_loss(a, b, s, number(SCALE), number(BIAS))),
    "triplet": (triplet, lambda a, b, s: hardest_triplet_loss(a, b, s, MARGIN)),
}


def test_rows_of_a_group_or_with_a_common_item_are_no_negatives() -> None:
    assert np.array_equal(same_items(GROUP, KEYS).numpy(), same())


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_equal_the_loops(name: str) -> None:
    by_hand, loss = LOSSES[name]
    left, right = unit(1).requires_grad_(), unit(2).requires_grad_()
    value = loss(left, right, same_items(GROUP, KEYS))
    value.backward()
    assert value.item() == pytest.approx(by_hand(left.detach().numpy(), right.detach().numpy()), abs=1e-9)
    assert left.grad is not None and right.grad is not None
    step = 1e-6
    for side, grad in ((0, left.grad), (1, right.grad)):
        for i, d in ((0, 1), (2, 3), (5, 0)):
            moved = []
            for sign in (1, -1):
                arrays = [left.detach().numpy().copy(), right.detach().numpy().copy()]
                arrays[side][i, d] += sign * step
                moved.append(by_hand(*arrays))
            assert grad[i, d].item() == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-6)


def test_two_rows_by_hand() -> None:
    """Right cosines 1, wrong ones 0: log(1 + e^-s), SigLIP, and no triplet cost at a margin of 1."""
    eye, none = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.bool)
    assert contrastive_loss(eye, eye, none, number(2.0)).item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-12)
    expected = math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-1.0))  # logits 1 for right, -1 for wrong
    assert sigmoid_loss(eye, eye, none, number(2.0), number(-1.0)).item() == pytest.approx(expected, abs=1e-12)
    assert hardest_triplet_loss(eye, eye, none, 1.0).item() == 0.0
    assert hardest_triplet_loss(eye, eye, none, 1.5).item() == pytest.approx(1.0)
    whole = torch.tensor([[False, True], [True, False]])
    assert hardest_triplet_loss(eye, eye, whole, 0.2).item() == 0.0  # nothing wrong is there
    assert grouped_contrastive_loss(eye, eye, whole, number(2.0)).item() == pytest.approx(
        math.log(math.exp(2) + 1) - 1.0, abs=1e-12
    )


@pytest.mark.oracle
def test_infonce_is_the_loss_of_clip_in_transformers() -> None:
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    left, right = unit(3), unit(4)
    ours = contrastive_loss(left, right, torch.zeros(ROWS, ROWS, dtype=torch.bool), number(20.0))
    assert ours.item() == pytest.approx(image_text_contrastive_loss(20.0 * left @ right.T).item(), abs=1e-9)


def fused(present: torch.Tensor, sides: int = 2) -> FusionOutput:
    tokens = torch.stack([unit(seed).float() for seed in range(sides)], dim=1) * present[..., None]
    return FusionOutput(tokens.sum(1), tokens=tokens)


def head(sides: int = 2, **options: object) -> DualEncoderHead:
    return DualEncoderHead([EncodedDims(3)] * sides, WIDTH, 1, **options)  # type: ignore[arg-type]


def loss_of(
    made: DualEncoderHead, present: torch.Tensor, sides: int = 2, keys: torch.Tensor | None = None
) -> torch.Tensor:
    keys = torch.arange(ROWS)[:, None].repeat(1, sides) if keys is None else keys
    return made.batch_loss(fused(present, sides), present, torch.zeros(ROWS), GROUP, keys)


def test_rows_with_a_missing_side_take_no_part() -> None:
    made = head()
    present = torch.ones(ROWS, 2, dtype=torch.bool)
    present[2, 1] = present[3, 0] = False
    kept = torch.tensor([0, 1, 4, 5])
    tokens = fused(torch.ones(ROWS, 2, dtype=torch.bool)).tokens
    assert tokens is not None
    keys = torch.arange(ROWS)[:, None].repeat(1, 2)
    alone = contrastive_loss(
        tokens[kept, 0], tokens[kept, 1], same_items(GROUP[kept], keys[kept]), torch.tensor(1 / 0.07)
    )
    assert loss_of(made, present).item() == pytest.approx(alone.item(), abs=1e-6)


def test_fewer_than_two_complete_rows_cost_nothing_and_keep_the_graph() -> None:
    present = torch.zeros(ROWS, 2, dtype=torch.bool)
    present[0] = present[1, 0] = True
    loss = loss_of(head(), present)
    assert loss.item() == 0.0 and loss.requires_grad


def test_three_sides_average_their_pairs() -> None:
    present = torch.ones(ROWS, 3, dtype=torch.bool)
    made = head(3)
    tokens = fused(present, 3).tokens
    assert tokens is not None
    keys = torch.arange(ROWS)[:, None].repeat(1, 2)
    pairs = [
        contrastive_loss(tokens[:, a], tokens[:, b], same_items(GROUP, keys), torch.tensor(1 / 0.07))
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert loss_of(made, present, 3).item() == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)


def test_scale_has_a_ceiling_of_100() -> None:
    made = head(temperature=0.02)
    assert made.scale.item() == pytest.approx(50.0, rel=1e-5)
    with torch.no_grad():
        made.log_scale.fill_(9.0)
    assert made.scale.item() == pytest.approx(100.0, rel=1e-5)


def test_scale_above_its_ceiling_comes_back_and_learns() -> None:
    made = head()
    with torch.no_grad():
        made.log_scale.fill_(6.0)
    loss_of(made, torch.ones(ROWS, 2, dtype=torch.bool)).backward()
    assert made.log_scale.grad.item() != 0.0
    made.after_step()
    assert made.log_scale.item() == pytest.approx(np.log(100.0))


def test_output_is_the_mean_cosine_of_the_sides_that_are_there() -> None:
    present = torch.ones(ROWS, 3, dtype=torch.bool)
    present[1, 2] = present[2, 0] = present[2, 1] = False
    out = fused(present, 3)
    assert out.tokens is not None
    cosines = head(3)(out, present)[:, 0]
    t = out.tokens
    assert cosines[0].item() == pytest.approx(float((t[0, 0] @ t[0, 1] + t[0, 0] @ t[0, 2] + t[0, 1] @ t[0, 2]) / 3))
    assert cosines[1].item() == pytest.approx(float(t[1, 0] @ t[1, 1]))
    assert math.isnan(cosines[2].item())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "infonc"}, "unknown task.loss 'infonc'. Did you mean 'infonce'"),
        ({"loss": "siglip", "positives": "group"}, "goes with task.loss=infonce"),
        ({"temperature": 0.001}, "task.temperature must be 0.01 or more"),
        ({"margin": 0.0}, "task.margin must be above 0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head(**options)


def test_one_modality_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more modalities"):
        head(1)
