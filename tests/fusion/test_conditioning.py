"""FiLM and MMTM against numpy transcriptions of their equations, and what they are before training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_equations import affine, norm, parameters

from fixtures.encoded import WIDTH, dims, make_encoded, make_fusion, patterns
from plait.fusion import FUSIONS

State = dict[str, np.ndarray]


def film_row(p: State, x: list[np.ndarray], there: list[int], options: dict) -> np.ndarray:
    if not there:
        return p["absent_D"]
    total = np.zeros(WIDTH)
    for m in there:
        gamma, beta = np.ones(WIDTH), np.zeros(WIDTH)
        others = [o for o in range(len(x)) if o != m] or [m]
        for i, o in enumerate(others):
            if o in there:
                change = affine(p, f"generators.{m}.{i}.linear", norm(x[o]))
                gamma, beta = gamma + change[:WIDTH], beta + change[WIDTH:]
        total = total + gamma * affine(p, f"project.{m}.linear", norm(x[m])) + beta
    return total / len(there)


def mmtm_row(p: State, x: list[np.ndarray], there: list[int], options: dict) -> np.ndarray:
    if not there:
        return p["absent_D"]
    joined = np.concatenate([norm(v) if m in there else np.zeros_like(v) for m, v in enumerate(x)])
    squeezed = np.maximum(affine(p, "squeeze", joined), 0.0)
    ends = np.cumsum([len(v) for v in x])
    total = np.zeros(WIDTH)
    for m in there:
        rows = slice(ends[m] - len(x[m]), ends[m])
        excitation = p["excite.weight"][rows] @ squeezed + p["excite.bias"][rows]
        total = total + affine(p, f"project.{m}", 2 / (1 + np.exp(-excitation)) * norm(x[m]))
    return total / len(there)


ROWS = {"film": film_row, "mmtm": mmtm_row}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(("name", "options"), [("film", {}), ("mmtm", {}), ("mmtm", {"ratio": 2})])
def test_equation(name: str, options: dict, count: int) -> None:
    fusion = make_fusion(name, count, torch.float64, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got_BD = fusion(encoded, present_BM).fused_BD.detach().numpy()
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        wanted_D = ROWS[name](p, [e.vector_BD[row].numpy() for e in encoded], there, options)
        np.testing.assert_allclose(got_BD[row], wanted_D, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ROWS)
def test_identity_before_training(name: str, count: int) -> None:
    """gamma = 1, beta = 0 and every gate 1: the plain mean of the projections of what is there."""
    torch.manual_seed(4)
    fusion = FUSIONS.get(name)(dims(count), WIDTH).double()
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got_BD = fusion(encoded, present_BM).fused_BD.detach().numpy()
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        at = "project.{}.linear" if name == "film" else "project.{}"
        plain = [affine(p, at.format(m), norm(encoded[m].vector_BD[row].numpy())) for m in there]
        wanted_D = sum(plain) / len(there) if there else np.zeros(WIDTH)
        np.testing.assert_allclose(got_BD[row], wanted_D, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ROWS)
def test_each_conditions_the_other(name: str) -> None:
    """Swap one modality's content between two rows: the other's term changes with it, whichever it is."""
    fusion = make_fusion(name, 2, torch.float64)
    a, b = make_encoded(2, 4, seed=1, dtype=torch.float64), make_encoded(2, 4, seed=2, dtype=torch.float64)
    both = torch.ones(4, 2, dtype=torch.bool)
    for speaker in (0, 1):
        with torch.no_grad():  # silence the other's own term
            quiet = fusion.project[1 - speaker]
            linear = quiet.linear if name == "film" else quiet
            kept = linear.weight.clone(), linear.bias.clone()
            linear.weight.zero_()
            linear.bias.zero_()
            corners = [fusion([left[0], right[1]], both).fused_BD for left in (a, b) for right in (a, b)]
            linear.weight.copy_(kept[0])
            linear.bias.copy_(kept[1])
        assert (corners[0] - corners[1] - corners[2] + corners[3]).abs().max() > 1e-3


def test_conditioners_in_film_are_the_others_never_oneself() -> None:
    fusion = make_fusion("film", 3)
    assert fusion.conditioners == [[1, 2], [0, 2], [0, 1]]
    assert make_fusion("film", 1).conditioners == [[0]]


def test_mmtm_gates_lie_between_zero_and_two() -> None:
    fusion = make_fusion("mmtm", 2, torch.float64)
    with torch.no_grad():
        fusion.squeeze.weight.zero_()
        fusion.squeeze.bias.fill_(1.0)
        fusion.excite.weight.zero_()
        fusion.excite.bias.fill_(50.0)
    encoded, present_BM = make_encoded(2, 4, dtype=torch.float64), patterns(2)
    got_D = fusion(encoded, present_BM).fused_BD[1].detach().numpy()  # the first modality alone
    wanted_D = affine(parameters(fusion), "project.0", 2 * norm(encoded[0].vector_BD[1].numpy()))
    np.testing.assert_allclose(got_D, wanted_D, rtol=0, atol=1e-12)
