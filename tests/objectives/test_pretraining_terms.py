"""Terms of pretraining: what a mask hides, the regression worked by hand, alignment of fused vectors, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fixtures.tiny_models import VECTOR_DIMS, WIDTH, make_batch, make_model, shake
from plait.fusion import FUSIONS
from plait.objectives import PRETRAINING, Step, mask_modalities
from plait.objectives.pretraining import MaskedModalities
from plait.settings import PRETRAINING_OBJECTIVES

TERMS = ["align", "comm", "masked"]


def test_every_setting_is_a_term() -> None:
    assert ["none", *TERMS] == list(PRETRAINING_OBJECTIVES) and sorted(PRETRAINING.names()) == TERMS


def test_a_mask_is_exact_at_zero_and_one_and_true_to_its_rate_between() -> None:
    present = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) < 0.8
    torch.manual_seed(0)
    assert torch.equal(mask_modalities(present, 0.0), present)
    all_but_one = mask_modalities(present, 1.0)
    assert torch.equal(all_but_one.sum(1), present.any(1).long()) and not (all_but_one & ~present).any()
    full = torch.ones(4000, 3, dtype=torch.bool)
    last = mask_modalities(full, 1.0).float().mean(0)
    assert last.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)  # which one stays is drawn evenly
    kept = mask_modalities(full, 0.5).float().mean()
    assert float(kept) == pytest.approx(0.5 + 0.125 / 3, abs=0.02) and mask_modalities(full, 0.5).any(1).all()


def step_of(model: Any, batch: dict[str, Any]) -> tuple[Step, list[torch.Tensor]]:
    encoded = model.encode(batch["inputs"], batch["present"])
    facts = {"group_B": batch["group"], "key_BM": batch["keys"]}
    step = Step(encoded, batch["present"], batch["target"], lambda answers: answers, model.fuse, {}, **facts)
    return step, [tensors["vector_BD"] for tensors in batch["inputs"].values()]


def test_masked_modalities_against_the_formula() -> None:
    model, batch = shake(make_model({})).eval(), make_batch(3)
    batch["present"] &= torch.tensor([True, True, True])
    term = MaskedModalities(VECTOR_DIMS, WIDTH, 0.6)
    step, frozen = step_of(model, batch)
    for m, scaler in enumerate(term.scalers.values()):
        scaler.fit(frozen[m][batch["present"][:, m]])
    torch.manual_seed(4)
    shown = mask_modalities(batch["present"], 0.6)
    torch.manual_seed(4)
    found = term(step, frozen)
    fused, total, count = model.fuse(step.encoded, shown).fused_BD, 0.0, 0
    for m in range(3):
        there = frozen[m][batch["present"][:, m]]
        for row in torch.nonzero(batch["present"][:, m] & ~shown[:, m]).flatten().tolist():
            wanted = (frozen[m][row] - there.mean(0)) / there.std(0, correction=0)
            total += float(((term.regressions[str(m)](fused[row]) - wanted) ** 2).mean().detach())
            count += 1
    assert count > 5 and float(found.detach()) == pytest.approx(total / count, rel=1e-5)


def test_a_trained_encoder_is_hidden_but_not_predicted() -> None:
    term = MaskedModalities([5, None, 7], WIDTH, 1.0)
    assert list(term.regressions) == ["0", "2"]
    step, frozen = step_of(shake(make_model({})), make_batch(3))
    assert term(step, [frozen[0], None, frozen[2]]) is not None


def test_alignment_is_smaller_where_rows_agree_than_where_they_are_mixed() -> None:
    torch.manual_seed(0)
    model, batch = make_model({}).eval(), make_batch(3, repeat=4)
    batch["present"][:] = True
    batch["keys"] = torch.arange(len(batch["target"]))[:, None].repeat(1, 3)
    hidden = batch["inputs"]["m0"]["vector_BD"]
    for m in (1, 2):  # all three tell of the same five numbers
        batch["inputs"][f"m{m}"]["vector_BD"] = hidden @ torch.randn(5, VECTOR_DIMS[m])
    term = PRETRAINING.get("align")(VECTOR_DIMS, WIDTH, 0.5)
    optimizer = torch.optim.Adam([*model.parameters(), *term.parameters()], lr=0.02)
    for _ in range(80):
        loss = term(step_of(model, batch)[0], [])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        together = float(term(step_of(model, batch)[0], []))
        batch["inputs"]["m0"]["vector_BD"] = batch["inputs"]["m0"]["vector_BD"].roll(1, 0)
        assert float(term(step_of(model, batch)[0], [])) > together + 1


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("fusion", [f for f in FUSIONS.names() if not FUSIONS.get(f).is_late])
def test_every_fusion_learns_from_every_term_and_missing_content_changes_nothing(fusion: str, name: str) -> None:
    model = shake(make_model({}, fusion)).train()
    count = len(model.config.modalities)
    found = []
    for spoilt in (False, True):
        batch = make_batch(count, repeat=4)
        for m, tensors in enumerate(batch["inputs"].values()):
            if spoilt:
                tensors["vector_BD"][~batch["present"][:, m]] = float("nan")
                tensors["tokens_BTD"][~batch["present"][:, m]] = float("inf")
        torch.manual_seed(0)
        term = PRETRAINING.get(name)(list(VECTOR_DIMS[:count]), WIDTH, 0.5)
        model.zero_grad()
        loss = term(*step_of(model, batch))
        loss.backward()
        found.append({n: p.grad.clone() for n, p in model.fusion.named_parameters() if p.grad is not None})
        assert all(p.grad is None for p in model.head.parameters())
    assert torch.isfinite(loss) and any((g != 0).any() for g in found[0].values())
    assert all(torch.equal(g, found[1][n]) for n, g in found[0].items())
