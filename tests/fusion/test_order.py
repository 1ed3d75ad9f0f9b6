"""Order in the token fusions: planted order is learned with position codes and invisible without; codes are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fixtures.encoded import WIDTH, dims, make_encoded, patterns, take
from fixtures.planted_order import order_accuracy
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, Fusion
from plait.fusion.positions import FourierCodes, Sinusoids, fourier_features, places, sinusoids

TOKEN_FUSIONS = [name for name in FUSIONS.names() if FUSIONS.get(name).info.needs_tokens]
LEARNERS = [
    *((name, {}, 240 if name == "co_attention" else 120) for name in TOKEN_FUSIONS if name != "prefix"),
    ("prefix", {"projector": "mlp"}, 240),  # under linear the language model behind it has the positions
    ("prefix", {"projector": "query"}, 120),
]
IDS = [f"{name}{''.join(o.values())}" for name, o, _ in LEARNERS]


def make_ordered(name: str, order: str | None, count: int = 2) -> Fusion:
    torch.manual_seed(7)
    given = [EncodedDims(d.vector_dim, d.token_dim, order) for d in dims(count)]
    return FUSIONS.get(name)(given, WIDTH).double().eval()


@pytest.mark.parametrize("order", ["sequence", "grid"])
@pytest.mark.parametrize(("name", "options", "steps"), LEARNERS, ids=IDS)
def test_planted_order_is_learned(name: str, options: dict, steps: int, order: str) -> None:
    assert order_accuracy(name, order, steps=steps, **options) > 0.9


@pytest.mark.parametrize(("name", "options", "steps"), LEARNERS, ids=IDS)
def test_a_bag_stays_at_chance(name: str, options: dict, steps: int) -> None:
    assert abs(order_accuracy(name, None, steps=60, **options) - 0.5) < 0.08


@pytest.mark.parametrize("name", TOKEN_FUSIONS)
def test_reversing_tokens_changes_a_sequence_and_a_grid_and_no_bag(name: str) -> None:
    encoded = make_encoded(2, 3, dtype=torch.float64)
    whole = [Encoded(e.vector_BD, e.tokens_BTD[:, :4], None) for e in encoded]
    turned = [Encoded(e.vector_BD, e.tokens_BTD.flip(1), None) for e in whole]
    there = torch.ones(3, 2, dtype=torch.bool)
    for order in ("sequence", "grid", None):
        fusion = make_ordered(name, order)
        same = torch.isclose(fusion(whole, there).fused_BD, fusion(turned, there).fused_BD, rtol=0, atol=1e-9)
        assert same.all() if order is None else not same.any(1).all()


@pytest.mark.parametrize("order", ["sequence", "grid"])
@pytest.mark.parametrize("name", TOKEN_FUSIONS)
def test_codes_keep_the_contract(name: str, order: str) -> None:
    """What is missing changes no bit, padding wherever it stands changes nothing, a row alone is the row in a batch."""
    fusion, there_BM = make_ordered(name, order, 3), patterns(3)
    clean = make_encoded(3, len(there_BM), dtype=torch.float64)
    whole_BD = fusion(clean, there_BM).fused_BD
    dirty = [Encoded(e.vector_BD.clone(), e.tokens_BTD.clone(), e.mask_BT.clone()) for e in clean]
    for m, item in enumerate(dirty):
        item.vector_BD[~there_BM[:, m]] = float("nan")
        item.tokens_BTD[~there_BM[:, m]] = float("inf")
        item.mask_BT[~there_BM[:, m]] = ~item.mask_BT[~there_BM[:, m]]
    assert torch.equal(fusion(dirty, there_BM).fused_BD, whole_BD)
    padded = []
    for e in clean:
        junk = torch.full_like(e.tokens_BTD[:, :2], 1e6)
        off = torch.zeros_like(e.mask_BT[:, :2])
        parts = [junk, e.tokens_BTD[:, :1], junk, e.tokens_BTD[:, 1:], junk]
        padded.append(
            Encoded(e.vector_BD, torch.cat(parts, 1), torch.cat([off, e.mask_BT[:, :1], off, e.mask_BT[:, 1:], off], 1))
        )
    torch.testing.assert_close(fusion(padded, there_BM).fused_BD, whole_BD, rtol=0, atol=1e-12)
    for row in range(len(there_BM)):
        alone = take(clean, torch.tensor([row]))
        cut = [Encoded(e.vector_BD, e.tokens_BTD[:, : int(e.mask_BT.sum())], None) for e in alone]
        got_1D = fusion(cut, there_BM[row : row + 1]).fused_BD
        torch.testing.assert_close(got_1D[0], whole_BD[row], rtol=0, atol=1e-12)


def test_places_count_real_tokens_and_lay_a_grid_row_by_row() -> None:
    keep_BT = torch.tensor([[True, False, True, True], [False, False, False, False]])
    place_BT1, count_B11 = places(keep_BT, "sequence")
    assert place_BT1[0, [0, 2, 3], 0].tolist() == [0, 1, 2] and count_B11.flatten().tolist() == [3, 1]
    place_BT2, count_B12 = places(torch.ones(1, 4, dtype=torch.bool), "grid")
    assert place_BT2[0].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and count_B12.tolist() == [[[2, 2]]]
    place_BT2, count_B12 = places(torch.ones(1, 3, dtype=torch.bool), "grid")  # no square: one line
    assert place_BT2[0].tolist() == [[0, 0], [0, 1], [0, 2]] and count_B12.tolist() == [[[1, 3]]]


@pytest.mark.parametrize("width", [8, 7])
def test_sinusoids_are_those_of_the_paper(width: int) -> None:
    got = sinusoids(torch.arange(5)[None], width)[0]
    for i in range(5):
        for column in range(width):
            angle = i / 10000 ** (2 * (column // 2) / width)
            assert got[i, column].item() == pytest.approx(math.cos(angle) if column % 2 else math.sin(angle), abs=1e-12)
    grid_TD = Sinusoids("grid", width)(torch.ones(1, 9, dtype=torch.bool))[0]
    half = width // 2
    torch.testing.assert_close(grid_TD[5, :half], sinusoids(torch.tensor([[1]]), half)[0, 0])
    torch.testing.assert_close(grid_TD[5, half:], sinusoids(torch.tensor([[2]]), width - half)[0, 0])


def test_fourier_features_are_those_of_the_paper() -> None:
    keep_BT = torch.ones(1, 9, dtype=torch.bool)
    bands = np.linspace(1, 32, 16)
    line_TF = fourier_features(*places(keep_BT, "sequence"))[0].numpy()
    for i, x in enumerate(np.linspace(-1, 1, 9)):
        wanted = np.concatenate([np.sin(np.pi * bands * x), np.cos(np.pi * bands * x), [x]])
        np.testing.assert_allclose(line_TF[i], wanted, atol=1e-6)
    grid_TF = fourier_features(*places(keep_BT, "grid"))[0].numpy()
    assert grid_TF.shape == (9, 2 * 33)
    np.testing.assert_allclose(grid_TF[5, [32, 65]], [0.0, 1.0])  # second row of three, last column
    codes = FourierCodes("grid", 4).double()
    wanted = grid_TF @ codes.linear.weight.detach().numpy().T
    np.testing.assert_allclose(codes(keep_BT)[0].detach().numpy(), wanted, atol=1e-9)
