"""Opinions that contradict each other (RCML, DBF): degrees of conflict by hand, doubt under conflict, the loss term."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.encoded import make_encoded, make_fusion, patterns
from fixtures.numpy_steps import norm
from plait.fusion import FUSIONS, EncodedDims, OutputSpec
from plait.fusion.rcml import conflicts

# Evidence (2, 0): p = (.75, .25), u = .5; (0, 6): p = (1/8, 7/8), u = .25. Apart 5/8, sure .5 * .75: c = .234375.
EVIDENCE = torch.tensor([[[2.0, 0.0], [0.0, 6.0]]], dtype=torch.float64)


def joined(name: str, evidence: torch.Tensor, **options: object) -> tuple[torch.Tensor, float]:
    """Evidence and doubt of the whole."""
    outputs = OutputSpec(evidence.shape[2])
    fusion = FUSIONS.get(name)([EncodedDims(1)] * evidence.shape[1], 4, outputs=outputs, **options).double().eval()
    present = torch.ones(evidence.shape[:2], dtype=torch.bool)
    h = fusion.join(torch.log(torch.expm1(evidence.clamp(min=1e-30))), present)[0]
    return torch.expm1(h)[0], float(fusion.uncertainty(h)[0])


def test_degree_of_conflict_worked_by_hand() -> None:
    degree = conflicts(EVIDENCE, torch.ones(1, 2, dtype=torch.bool))
    assert degree[0].tolist() == [[0.0, 0.234375], [0.234375, 0.0]]
    assert not conflicts(EVIDENCE, torch.tensor([[True, False]])).any()


def test_averaged_evidence_worked_by_hand() -> None:
    evidence, doubt = joined("rcml", EVIDENCE)
    assert evidence.tolist() == pytest.approx([1.0, 3.0]) and doubt == pytest.approx(2 / 6)
    # b = (b_1 u_2 + b_2 u_1) / (u_1 + u_2) with b_1 = (.5, 0) and b_2 = (0, .75); u = 2 u_1 u_2 / (u_1 + u_2)
    assert (evidence / 6).tolist() == pytest.approx([0.5 * 0.25 / 0.75, 0.75 * 0.5 / 0.75])
    assert doubt == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_discounted_belief_worked_by_hand() -> None:
    d = 1 - 0.234375
    first, second = 2 * d * 0.5 / (d * 0.5 + 1 - d), 2 * d * 0.75 / (d * 0.25 + 1 - d)
    evidence, doubt = joined("dbf", EVIDENCE)
    assert evidence.tolist() == pytest.approx([first / 2, second / 2])
    assert doubt > joined("rcml", EVIDENCE)[1] > joined("evidential", EVIDENCE)[1]  # what the method is for
    lenient = joined("dbf", EVIDENCE, strictness=3.0)
    d = (1 - 0.234375**3) ** (1 / 3)
    assert lenient[0][0] == pytest.approx(d * 0.5 / (d * 0.5 + 1 - d)) and lenient[1] < doubt
    agreeing = torch.tensor([[[2.0, 0.0], [2.0, 0.0]]], dtype=torch.float64)
    assert joined("dbf", agreeing)[0].tolist() == pytest.approx([2.0, 0.0])  # no conflict, no discount


def test_order_of_the_modalities_is_nothing() -> None:
    three = torch.rand(1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    for name in ("rcml", "dbf"):
        forth, back = joined(name, three), joined(name, three.flip(1))
        torch.testing.assert_close(forth[0], back[0], rtol=1e-12, atol=1e-12)


def test_conflict_is_a_term_of_the_training_loss() -> None:
    encoded, present_BM = make_encoded(3, 8, dtype=torch.float64), patterns(3)
    fusion = make_fusion("rcml", 3, torch.float64, conflict=0.7).train()
    out = fusion(encoded, present_BM)
    wanted = 0.0
    for b, there in enumerate(present_BM.tolist()):
        opinions = []
        for m in range(3):
            if there[m]:
                layer = fusion.predictors.networks[m][-1]
                f = (
                    norm(encoded[m].vector_BD[b].numpy()) @ layer.weight.detach().numpy().T
                    + layer.bias.detach().numpy()
                )
                opinions.append(np.log1p(np.exp(f)) + 1)
        for a in opinions:
            for o in opinions:
                sure = (1 - len(a) / a.sum()) * (1 - len(o) / o.sum())
                wanted += np.abs(a / a.sum() - o / o.sum()).sum() / 2 * sure / max(1, len(opinions) - 1) / 8
    assert float(out.regulariser.detach()) == pytest.approx(0.7 * wanted, rel=1e-9)
    assert fusion.eval()(encoded, present_BM).regulariser is None
    assert make_fusion("rcml", 3, conflict=0).train()(make_encoded(3, 8), present_BM).regulariser is None
    out.regulariser.backward()
    assert all(p.grad.abs().sum() > 0 for p in fusion.predictors.parameters())


@pytest.mark.parametrize(("name", "option", "value"), [
    ("rcml", "conflict", -1), ("rcml", "conflict", "1"), ("dbf", "strictness", 0.5), ("dbf", "strictness", True),
])  # fmt: skip
def test_options_out_of_range_are_refused(name: str, option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option} .*got {value!r}"):
        make_fusion(name, 2, **{option: value})
