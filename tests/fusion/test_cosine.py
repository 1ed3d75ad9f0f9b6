"""The cosine fusion against a transcription in plain numpy, and its corner cases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from test_equations import affine, norm, parameters

from fixtures.encoded import WIDTH, make_encoded, make_fusion, patterns
from fixtures.tiny_models import build_model, encoded_modalities
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims


def cosine_row(p: dict[str, np.ndarray], x: list[np.ndarray], there: list[int]) -> np.ndarray:
    if not there:
        return p["absent_D"]
    unit = {}
    for m in there:
        mapped = affine(p, f"towers.{m}.linear", norm(x[m]))
        unit[m] = mapped / np.linalg.norm(mapped)
    if len(there) == 1:
        return np.sqrt(WIDTH) * unit[there[0]]
    return WIDTH * np.mean([unit[a] * unit[b] for a, b in combinations(there, 2)], axis=0)


ROWS = {"cosine": cosine_row}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_equation(count: int) -> None:
    fusion = make_fusion("cosine", count, torch.float64)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got = fusion(encoded, present_BM)
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        wanted_D = cosine_row(p, [e.vector_BD[row].numpy() for e in encoded], there)
        np.testing.assert_allclose(got.fused_BD[row].detach().numpy(), wanted_D, rtol=0, atol=1e-12)
    lengths_BM = got.tokens.detach().norm(dim=-1)
    torch.testing.assert_close(lengths_BM, present_BM.double(), rtol=0, atol=1e-12)


def test_mean_of_the_fused_vector_is_the_cosine() -> None:
    fusion = make_fusion("cosine", 2, torch.float64)
    both = torch.ones(4, 2, dtype=torch.bool)
    out = fusion(make_encoded(2, 4, dtype=torch.float64), both)
    cosine_B = torch.nn.functional.cosine_similarity(out.tokens[:, 0], out.tokens[:, 1])
    torch.testing.assert_close(out.fused_BD.mean(1), cosine_B, rtol=0, atol=1e-12)


def test_rows_without_negative_numbers_go_through_the_root() -> None:
    fusion = FUSIONS.get("cosine")([EncodedDims(3)], 3, normalise=False)
    with torch.no_grad():
        fusion.towers[0].linear.weight.copy_(torch.eye(3))
        fusion.towers[0].linear.bias.zero_()
    rows = torch.tensor([[16.0, 9.0, 0.0], [-16.0, 9.0, 0.0]])
    there = torch.ones(2, 1, dtype=torch.bool)
    unit = fusion(fusion.prepare([Encoded(rows, None, None)], there), there).tokens[:, 0]
    torch.testing.assert_close(unit[0], torch.tensor([0.8, 0.6, 0.0]), atol=1e-5, rtol=0)  # (4, 3, 0) / 5
    torch.testing.assert_close(unit[1], rows[1] / rows[1].norm())


def test_gradient_at_an_exact_zero_is_finite() -> None:
    fusion = make_fusion("cosine", 2)
    encoded = make_encoded(2, 3)
    encoded[0].vector_BD.abs_()[0, 2] = 0.0  # a trained encoder that ends in a ReLU gives such
    encoded[0].vector_BD.requires_grad_()
    there = torch.ones(3, 2, dtype=torch.bool)
    there[1, 0] = False
    encoded[0].vector_BD.data[1] = float("nan")  # what a missing modality holds reaches nothing
    fusion(fusion.prepare(encoded, there), there).fused_BD.sum().backward()
    assert torch.isfinite(encoded[0].vector_BD.grad).all()


def test_the_root_stays_when_adapters_have_learned() -> None:
    torch.manual_seed(0)
    model = build_model(encoded_modalities({"a": 4, "b": 4}), "cosine", aids={"auxiliary": 0.3}).eval()
    rows = torch.rand(5, 4) * 100
    given = {n: {"vector_BD": rows} for n in ("a", "b")}
    there = torch.ones(5, 2, dtype=torch.bool)
    torch.testing.assert_close(model.encode(given)[0].vector_BD, rows.sqrt())  # fresh adapters change nothing
    with torch.no_grad():
        model.aids.adapters[0].linear.bias[0] = -1000.0  # every adapted row of a holds a negative number
    adapted = model.encode(given, there)[0].vector_BD
    torch.testing.assert_close(adapted[:, 1:], rows.sqrt()[:, 1:])
    torch.testing.assert_close(adapted[:, 0], rows.sqrt()[:, 0] - 1000.0)
    unit = model.fusion(model.encode(given, there), there).tokens
    wanted = torch.nn.functional.normalize(model.fusion.towers[0](adapted), dim=-1)
    torch.testing.assert_close(unit[:, 0], wanted)


def test_equation_states_the_root() -> None:
    assert "r(x_m)" in FUSIONS.get("cosine").info.equation and "sqrt" in FUSIONS.get("cosine").info.equation


def test_without_projections_the_vectors_themselves_are_brought_to_length_one() -> None:
    fusion = FUSIONS.get("cosine")([EncodedDims(4), EncodedDims(4)], 4, project=False).double()
    vectors = torch.tensor([[[3.0, 0.0, 4.0, 0.0]], [[0.0, -5.0, 0.0, 12.0]]], dtype=torch.float64)
    out = fusion([Encoded(v, None, None) for v in vectors], torch.ones(1, 2, dtype=torch.bool))
    expected = torch.tensor([[[0.6, 0.0, 0.8, 0.0], [0.0, -5 / 13, 0.0, 12 / 13]]], dtype=torch.float64)
    torch.testing.assert_close(out.tokens, expected)
    with pytest.raises(ValueError, match="without projections every modality must be 4 wide"):
        FUSIONS.get("cosine")([EncodedDims(4), EncodedDims(5)], 4, project=False)
