"""ReconBoost: whose turn it is, what learns in it, and its loss by hand for every kind of output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.encoded import make_fusion
from fixtures.numpy_steps import softmax
from fixtures.tiny_models import make_batch, make_model
from plait.fusion.reconboost import boosted_less_plain


def test_turns_share_the_steps_and_end_with_all_together() -> None:
    fusion = make_fusion("reconboost", 3, rounds=2)
    turns = []
    for i in range(24):
        fusion.progress = i / 24
        turns.append(fusion.turn)
    assert turns == [t for m in (0, 1, 2) * 2 for t in (m, m, None, None)]
    fusion.progress = 1.0
    assert fusion.turn is None and make_fusion("reconboost", 1).turn is None


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_in_a_turn_one_modality_learns_by_what_the_others_have_not_got(task: str, turn: int) -> None:
    model, batch = make_model({}, "reconboost", task, options={"reconcile": 0.6}), make_batch(3, task)
    model.fusion.progress = turn / 3 / 4
    assert model.fusion.turn == turn
    model.train()(**batch)["loss"].backward()
    got = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert {n.split("networks.")[1][0] for n in got} == {str(turn)}  # an optimizer leaves the others quite alone
    fused = model.eval().fusion(model.encode(batch["inputs"]), batch["present"])
    answer = fused.modality_logits_BMC[:, turn]
    others = (fused.fused_BD - answer).detach()
    target = batch["target"]
    if task == "regression":
        loss = (target - others[:, 0] - answer[:, 0]) ** 2
    elif task == "multilabel":
        right = torch.where(target > 0, torch.sigmoid(others), 1 - torch.sigmoid(others))
        wrong = torch.where(target > 0, torch.sigmoid(answer), 1 - torch.sigmoid(answer))
        loss = (-(1 - 0.6 * right) * torch.log(wrong)).mean(1)
    else:
        right = torch.softmax(others, 1).gather(1, target[:, None])[:, 0]
        loss = -(1 - 0.6 * right) * torch.log_softmax(answer, 1).gather(1, target[:, None])[:, 0]
    model.zero_grad()
    (loss[batch["present"][:, turn]].mean() / 3).backward()
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, rtol=1e-4, atol=1e-6)


def test_between_turns_all_learn_by_the_joint_loss_alone() -> None:
    model, batch = make_model({}, "reconboost"), make_batch(3)
    model.train()(**batch)["loss"].backward()
    got = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    joint = model.fusion(model.encode(batch["inputs"]), batch["present"]).fused_BD
    torch.nn.functional.cross_entropy(joint, batch["target"]).backward()
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, rtol=1e-4, atol=1e-7)


def test_boosted_loss_worked_by_hand() -> None:
    answer, others, target = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    p, ce = softmax(np.array([2.0, 0.0]))[0], -np.log(softmax(np.array([0.0, 1.0]))[0])
    change = boosted_less_plain(answer, others, target, "classes", 0.2, None)
    assert float(change) == pytest.approx(-0.2 * p * ce, rel=1e-6)
    assert float(boosted_less_plain(answer, others, target, "classes", 0.2, [3.0, 1.0])) == pytest.approx(-0.6 * p * ce)
    number = boosted_less_plain(torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([4.0]), "number", 0.2, None)
    assert float(number) == pytest.approx((4 - 3) ** 2 - (4 - 1) ** 2)


@pytest.mark.parametrize(("option", "value"), [("rounds", 0), ("reconcile", 1.5), ("reconcile", True), ("joint", True)])
def test_options_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError), match=option):
        make_fusion("reconboost", 2, **{option: value})
