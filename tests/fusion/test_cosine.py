"""The cosine fusion against a transcription in plain numpy, and its corner cases."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
import torch
from test_equations import affine, norm, parameters

from fixtures.encoded import WIDTH, make_encoded, make_fusion, patterns
from fixtures.tiny_models import build_model, encoded_modalities
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, SeenBatch
from plait.fusion.cosine import signed_root


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


class Rows:
    """Training rows as a fusion sees them."""

    def __init__(self, *vectors: torch.Tensor, present_BM: torch.Tensor | None = None) -> None:
        self.encoded = [Encoded(v, None, None) for v in vectors]
        self.target = np.zeros(len(vectors[0]))
        self.present_BM = torch.ones(len(self.target), len(vectors), dtype=torch.bool)
        if present_BM is not None:
            self.present_BM = present_BM

    def batches(self, chosen: np.ndarray | None = None) -> Iterator[SeenBatch]:
        yield SeenBatch(self.encoded, self.present_BM, lambda: None)


def test_a_modality_without_negative_numbers_in_training_goes_through_the_root() -> None:
    fusion = FUSIONS.get("cosine")([EncodedDims(3)], 3, normalise=False)
    with torch.no_grad():
        fusion.towers[0].linear.weight.copy_(torch.eye(3))
        fusion.towers[0].linear.bias.zero_()
    rows = torch.tensor([[16.0, 9.0, 0.0], [-16.0, 9.0, 0.0]])
    there = torch.ones(2, 1, dtype=torch.bool)

    def unit() -> torch.Tensor:
        return fusion(fusion.prepare([Encoded(rows, None, None)], there), there).tokens[:, 0]

    fusion.observe(Rows(rows[:1]))
    for row, wanted in zip(unit(), ([0.8, 0.6, 0.0], [-0.8, 0.6, 0.0]), strict=True):  # (4, 3, 0) / 5, and its mirror
        torch.testing.assert_close(row, torch.tensor(wanted), atol=1e-5, rtol=0)
    fusion.observe(Rows(rows))  # one negative number in training: no row goes through it
    torch.testing.assert_close(unit(), rows / rows.norm(dim=1, keepdim=True))


def test_missing_rows_do_not_decide_the_root_and_it_is_saved() -> None:
    fusion = make_fusion("cosine", 3)
    vectors = [e.vector_BD for e in make_encoded(3, 4)]
    there = torch.ones(4, 3, dtype=torch.bool)
    there[1, 0] = False
    there[:, 2] = False
    vectors[0].abs_()[1] = -1.0  # where it is missing
    vectors[2].abs_()
    fusion.observe(Rows(*vectors, present_BM=there))
    assert fusion.rooted_M.tolist() == [True, False, False]
    again = make_fusion("cosine", 3)
    again.load_state_dict(fusion.state_dict())
    assert again.rooted_M.tolist() == [True, False, False]
    before = {k: v for k, v in fusion.state_dict().items() if k != "rooted_M"}
    again.load_state_dict(before)  # a model saved when each row decided for itself
    assert again.rooted_M is None
    rows = torch.tensor([[1.0, 4.0, 9.0, 16.0, 25.0], [-1.0, 4.0, 9.0, 16.0, 25.0]])
    got = again.prepare([Encoded(rows, None, None), *make_encoded(3, 2)[1:]], torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(got[0].vector_BD, torch.stack([rows[0].sqrt(), rows[1]]), atol=1e-3, rtol=0)


def test_gradient_at_an_exact_zero_is_finite() -> None:
    fusion = make_fusion("cosine", 2)
    encoded = make_encoded(2, 3)
    encoded[0].vector_BD.abs_()[0, 2] = 0.0  # a trained encoder that ends in a ReLU gives such
    fusion.observe(Rows(*(e.vector_BD for e in encoded)))
    encoded[0].vector_BD.requires_grad_()
    there = torch.ones(3, 2, dtype=torch.bool)
    there[1, 0] = False
    encoded[0].vector_BD.data[1] = float("nan")  # what a missing modality holds reaches nothing
    fusion(fusion.prepare(encoded, there), there).fused_BD.sum().backward()
    assert torch.isfinite(encoded[0].vector_BD.grad).all() and encoded[0].vector_BD.grad[0, 2] != 0.0
    zero = torch.zeros(1, requires_grad=True)
    signed_root(zero).backward()
    assert zero.grad.item() == pytest.approx(100.0)


def test_the_root_stays_when_adapters_have_learned() -> None:
    torch.manual_seed(0)
    model = build_model(encoded_modalities({"a": 4, "b": 4}), "cosine", aids={"auxiliary": 0.3}).eval()
    rows = torch.rand(5, 4) * 100
    given = {n: {"vector_BD": rows} for n in ("a", "b")}
    there = torch.ones(5, 2, dtype=torch.bool)
    model.fusion.observe(Rows(rows, rows))
    root = signed_root(rows)
    torch.testing.assert_close(root, rows.sqrt(), atol=1e-3, rtol=0)
    torch.testing.assert_close(model.encode(given)[0].vector_BD, root)  # fresh adapters change nothing
    with torch.no_grad():
        model.aids.adapters[0].linear.bias[0] = -1000.0  # every adapted row of a holds a negative number
    adapted = model.encode(given, there)[0].vector_BD
    torch.testing.assert_close(adapted[:, 1:], root[:, 1:])
    torch.testing.assert_close(adapted[:, 0], root[:, 0] - 1000.0)
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
    with pytest.raises(ValueError, match="without projections all modalities must be of one width, and 4 wide or more"):
        FUSIONS.get("cosine")([EncodedDims(4), EncodedDims(5)], 4, project=False)
