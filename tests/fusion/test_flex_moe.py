"""Flex-MoE: the whole forward in numpy, its bank, its routing loss, and what it refuses."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from fixtures.encoded import make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, gelu, norm, parameters, softmax
from plait.fusion.flex_moe import routing_loss

SETS = [s for size in (1, 2, 3) for s in combinations(range(3), size)]


def layer_norm(p: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return norm(x) * p[f"{name}.weight"] + p[f"{name}.bias"]


def flex_moe_row(p: dict[str, np.ndarray], vectors: list[np.ndarray], pattern: list[bool], heads: int) -> np.ndarray:
    there = tuple(m for m in range(3) if pattern[m])
    if not there:
        return p["absent_D"]
    number = SETS.index(there)
    s = np.stack(
        [affine(p, f"project.{m}.linear", norm(vectors[m])) + p["embedding_MD"][m]
         if pattern[m] else p[f"bank.{number}-{m}"] for m in range(3)]
    )  # fmt: skip
    x = layer_norm(p, "norm_read", s)
    q, k, v = (affine(p, f"attention.{n}", x) for n in ("query", "key", "value"))
    read, size = [], q.shape[1] // heads
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        read.append(softmax(q[:, part] @ k[:, part].T / np.sqrt(size), axis=1) @ v[:, part])
    z = s + affine(p, "attention.out", np.concatenate(read, axis=1))
    x = layer_norm(p, "norm_feed", z)
    g = softmax(x @ p["router.weight"].T, axis=1)
    t = z.copy()
    for e in range(7):
        t += g[:, e : e + 1] * affine(p, f"experts.{e}.2", gelu(affine(p, f"experts.{e}.0", x)))
    return affine(p, "out", t.reshape(-1))


ROWS = {"flex_moe": flex_moe_row}


@pytest.mark.parametrize("heads", [1, 2])
def test_equation(heads: int) -> None:
    fusion, present_BM = make_fusion("flex_moe", 3, torch.float64, heads=heads), patterns(3)
    encoded = make_encoded(3, len(present_BM), dtype=torch.float64)
    fused = fusion(encoded, present_BM).fused_BD.detach().numpy()
    for b, pattern in enumerate(present_BM.tolist()):
        wanted = ROWS["flex_moe"](parameters(fusion), [e.vector_BD[b].numpy() for e in encoded], pattern, heads)
        np.testing.assert_allclose(fused[b], wanted, rtol=0, atol=1e-11)


def test_rows_that_lack_something_are_sent_to_the_expert_of_their_set_and_whole_rows_are_shared_out() -> None:
    present = torch.tensor([[True, True], [True, True], [True, False], [False, False]])
    scores = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = float(routing_loss(scores, torch.tensor([2, 2, 0, 0]), present))
    gates = np.concatenate([softmax(scores[b].numpy(), axis=1) for b in (0, 1)])
    share = np.bincount(gates.argmax(1), minlength=3) / 4
    sent = -np.mean([np.log(softmax(scores[2, m].numpy())[0]) for m in range(2)])
    assert got == pytest.approx(3 * float(share @ gates.mean(0)) + sent, rel=1e-9)
    encoded, present_BM = make_encoded(3, 8), patterns(3)
    assert make_fusion("flex_moe", 3).train()(encoded, present_BM).regulariser > 0
    for quiet in (make_fusion("flex_moe", 3), make_fusion("flex_moe", 3, balance=0).train()):
        assert quiet(encoded, present_BM).regulariser is None


def test_the_bank_has_an_entry_for_each_missing_modality_of_each_set() -> None:
    assert len(make_fusion("flex_moe", 3).bank) == 3 * 2 + 3 * 1
    assert len(make_fusion("flex_moe", 1).bank) == 0


@pytest.mark.parametrize(("count", "options", "message"), [
    (7, {}, "at most 6 modalities"), (2, {"balance": -1}, "balance is the weight"), (2, {"heads": 3},
    "multiple of heads"),
])  # fmt: skip
def test_what_it_refuses(count: int, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_fusion("flex_moe", count, **options)
