"""Each fusion against a direct numpy transcription of its equation, and against planted XOR."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.encoded import WIDTH, dims, make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, gelu, norm, parameters, softmax
from fixtures.planted_xor import xor_accuracy
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims

COUNT = 3


def weighted_sum_row(p: dict, x: list[np.ndarray], there: list[int]) -> np.ndarray:
    if not there:
        return p["absent_D"]
    if "alpha" in p:
        full = {0: float(p["alpha"]), 1: 1 - float(p["alpha"])}
        share = full if len(there) == 2 else {there[0]: 1.0}
    else:
        share = dict(zip(there, softmax(p["logits_M"][there]), strict=True))
    return sum(share[m] * affine(p, f"project.{m}.linear", norm(x[m])) for m in there)


def concat_row(p: dict, x: list[np.ndarray], there: list[int]) -> np.ndarray:
    blocks = [norm(v) if m in there else p[f"absent.{m}"] for m, v in enumerate(x)]
    joined = np.concatenate([*blocks, [float(m in there) for m in range(len(x))]])
    if "network.4.weight" in p:
        return affine(p, "network.4", gelu(affine(p, "network.1", joined)))
    return affine(p, "network.1", joined)


def gated_row(p: dict, x: list[np.ndarray], there: list[int]) -> np.ndarray:
    if not there:
        return p["absent_D"]
    joined = np.concatenate([norm(v) if m in there else np.zeros_like(v) for m, v in enumerate(x)])
    logits_MD = affine(p, "gate", joined).reshape(len(x), WIDTH)
    gates = softmax(logits_MD[there], axis=0)
    return sum(z * np.tanh(affine(p, f"project.{m}.linear", norm(x[m]))) for z, m in zip(gates, there, strict=True))


def product_row(p: dict, x: list[np.ndarray], there: list[int]) -> np.ndarray:
    product, rest = np.ones(WIDTH), np.zeros(WIDTH)
    for m in there:
        product = product * np.tanh(affine(p, f"factors.{m}.linear", norm(x[m])))
        rest = rest + affine(p, f"residuals.{m}.linear", norm(x[m])) / len(there)
    return affine(p, "out", product) + rest


def co_attention_row(
    p: dict, x: list[np.ndarray], there: list[int], tokens: list[np.ndarray], heads: int
) -> np.ndarray:
    projected = {m: affine(p, f"project.{m}.linear", norm(x[m])) for m in there}
    product, mean = np.ones(WIDTH), np.zeros(WIDTH)
    for m in there:
        others = [projected[o] for o in there if o != m]
        guide = sum(others) / len(others) if others else np.zeros(WIDTH)
        t_TD = norm(tokens[m])
        hidden_TD = np.tanh(affine(p, f"readers.{m}.keys", t_TD) + affine(p, f"readers.{m}.guide", guide))
        attention_TH = softmax(affine(p, f"readers.{m}.scores", hidden_TD), axis=0)
        values_TD = affine(p, f"readers.{m}.values", t_TD)
        part = WIDTH // heads
        read = np.concatenate([attention_TH[:, h] @ values_TD[:, h * part : (h + 1) * part] for h in range(heads)])
        summary = projected[m] + read
        product = product * np.tanh(summary)
        mean = mean + summary / len(there)
    return affine(p, "out.3", gelu(affine(p, "out.1", np.concatenate([product, mean]))))


ROWS = {
    "weighted_sum": weighted_sum_row,
    "concat": concat_row,
    "gated": gated_row,
    "product": product_row,
    "co_attention": co_attention_row,
}


def test_every_fusion_has_an_equation_here() -> None:
    """Here or in a file beside this one: every file's ROWS holds its transcriptions by name."""
    files = [path.stem for path in Path(__file__).parent.glob("test_*.py")]
    transcribed = [name for file in files for name in getattr(importlib.import_module(file), "ROWS", {})]
    assert sorted(transcribed) == sorted(FUSIONS.names())


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("weighted_sum", {}, 3),
        ("weighted_sum", {"raw": True}, 2),
        ("concat", {}, 3),
        ("concat", {"hidden_layers": 0}, 3),
        ("gated", {}, 3),
        ("product", {}, 3),
        ("co_attention", {"heads": 4}, 3),
        ("co_attention", {"heads": 1}, 2),
    ],
)
def test_equation(name: str, options: dict, count: int) -> None:
    fusion = make_fusion(name, count, torch.float64, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got_BD = fusion(encoded, present_BM).fused_BD.detach().numpy()
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        x = [e.vector_BD[row].numpy() for e in encoded]
        extra = ()
        if name == "co_attention":
            tokens = [e.tokens_BTD[row][e.mask_BT[row]].numpy() for e in encoded]
            extra = (tokens, options["heads"])
        wanted_D = ROWS[name](p, x, there, *extra)
        np.testing.assert_allclose(got_BD[row], wanted_D, rtol=0, atol=1e-12)


def test_two_gates_are_the_sigmoid_pair_of_the_paper() -> None:
    fusion = make_fusion("gated", 2, torch.float64)
    encoded = make_encoded(2, 4, dtype=torch.float64)
    both = torch.ones(4, 2, dtype=torch.bool)
    p = parameters(fusion)
    joined = np.concatenate([norm(e.vector_BD.numpy()) for e in encoded], axis=1)
    logits = affine(p, "gate", joined)
    z = 1 / (1 + np.exp(-(logits[:, :WIDTH] - logits[:, WIDTH:])))
    h = [np.tanh(affine(p, f"project.{m}.linear", norm(encoded[m].vector_BD.numpy()))) for m in range(2)]
    got = fusion(encoded, both)
    np.testing.assert_allclose(got.fused_BD.detach().numpy(), z * h[0] + (1 - z) * h[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.weights_BM[:, 0].detach().numpy(), z.mean(1), rtol=0, atol=1e-12)


def test_raw_alpha_worked_by_hand() -> None:
    fusion = FUSIONS.get("weighted_sum")([EncodedDims(1), EncodedDims(1)], 1, raw=True, normalise=False)
    with torch.no_grad():
        for projection, weight in zip(fusion.project, (2.0, 10.0), strict=True):
            projection.linear.weight.fill_(weight)
            projection.linear.bias.fill_(1.0)
        fusion.alpha.fill_(0.25)
    one = torch.ones(4, 1)
    encoded = [Encoded(one * 3, None, None), Encoded(one * 5, None, None)]
    out = fusion(encoded, torch.tensor([[True, True], [True, False], [False, True], [False, False]]))
    # h1 = 2*3+1 = 7, h2 = 10*5+1 = 51; 0.25*7 + 0.75*51 = 40
    assert out.fused_BD.squeeze(1).tolist() == [40.0, 7.0, 51.0, 0.0]
    assert out.weights_BM.tolist() == [[0.25, 0.75], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]


INTERACTING = [
    "product", "concat", "co_attention", "gated", "cosine", "tensor", "low_rank", "mfb", "mfh", "mutan", "block", "mcb",
    "film", "mmtm",
]  # fmt: skip


@pytest.mark.parametrize("name", INTERACTING)
def test_interacting_fusions_solve_xor(name: str) -> None:
    assert xor_accuracy(name, {"sketch": 256} if name == "mcb" else {}) > 0.97  # 4,096 take seconds


@pytest.mark.parametrize(
    ("name", "options"),
    [("weighted_sum", {}), ("weighted_sum", {"raw": True}), ("concat", {"hidden_layers": 0})],
)
def test_additive_fusions_cannot_solve_xor(name: str, options: dict) -> None:
    # A sum f(a) + g(b) gets at most three of the four cells right.
    assert xor_accuracy(name, options) <= 0.76
    assert FUSIONS.get(name)(dims(2), WIDTH, **options).interaction == "additive"


@pytest.mark.parametrize(("name", "options"), [("weighted_sum", {}), ("concat", {"hidden_layers": 0})])
def test_additive_means_a_mixed_second_difference_of_zero(name: str, options: dict) -> None:
    fusion = make_fusion(name, 2, torch.float64, **options)
    a, b = make_encoded(2, 4, seed=1, dtype=torch.float64), make_encoded(2, 4, seed=2, dtype=torch.float64)
    both = torch.ones(4, 2, dtype=torch.bool)

    def h(left: list[Encoded], right: list[Encoded]) -> torch.Tensor:
        return fusion([left[0], right[1]], both).fused_BD

    assert (h(a, a) - h(a, b) - h(b, a) + h(b, b)).abs().max() < 1e-12


def test_interacting_fusions_have_a_mixed_second_difference() -> None:
    for name in FUSIONS.names():
        fusion = make_fusion(name, 2, torch.float64)
        if fusion.interaction == "additive":
            continue
        a, b = (
            make_encoded(2, 4, seed=1, dtype=torch.float64),
            make_encoded(2, 4, seed=2, dtype=torch.float64),
        )
        both = torch.ones(4, 2, dtype=torch.bool)
        corners = [fusion([left[0], right[1]], both).fused_BD for left in (a, b) for right in (a, b)]
        assert (corners[0] - corners[1] - corners[2] + corners[3]).abs().max() > 1e-3
