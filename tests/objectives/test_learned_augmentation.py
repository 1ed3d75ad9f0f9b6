"""LeMDA: the consistency term worked by hand, who learns from which term, and that nothing is changed in evaluation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.tiny_models import make_batch, make_model, shake
from plait.objectives import chosen_objectives
from plait.objectives.learned_augmentation import CONSISTENT, PRIOR, consistency, of_these_alone
from plait.settings import TrainSettings


def test_consistency_counts_only_rows_whose_own_answer_is_sure() -> None:
    answers = torch.tensor([[2.0, 0.0, 0.0], [0.1, 0.0, 0.0]])  # p = .787: sure; p = .356: not
    changed = torch.tensor([[0.0, 1.0, 0.0], [9.0, 0.0, 0.0]])  # the second is sure after the change alone
    p, q = (np.exp(v) / np.exp(v).sum() for v in (np.array([2.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])))
    wanted = float((p * np.log(p / q)).sum())
    assert float(consistency(answers, changed, "classes")) == pytest.approx(wanted / 2, rel=1e-5)
    assert float(consistency(answers, changed, "classes", 0.8)) == 0.0
    assert float(consistency(answers, answers, "classes", 0.0)) == pytest.approx(0.0, abs=1e-7)
    assert float(consistency(answers, changed, "classes", 0.0)) > 1.0  # without the threshold the second rules


def test_consistency_of_labels_and_numbers() -> None:
    answers, changed = torch.tensor([[2.0, 0.0]]), torch.tensor([[-1.0, 5.0]])
    p, q = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))
    sure = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))  # p = .5 of the second is not above one half
    assert float(consistency(answers, changed, "labels")) == pytest.approx(sure / 2, rel=1e-5)
    assert float(consistency(torch.tensor([[1.0], [0.0]]), torch.tensor([[3.0], [0.0]]), "number")) == 2.0


def test_no_gradient_reaches_the_answer_to_the_unchanged_row() -> None:
    answers = torch.tensor([[2.0, 0.0]], requires_grad=True)
    changed = torch.tensor([[0.0, 1.0]], requires_grad=True)
    consistency(answers, changed, "classes").backward()
    assert answers.grad is None and changed.grad is not None and (changed.grad != 0).any()


def test_a_carried_gradient_reaches_these_parameters_alone() -> None:
    ours, theirs = (torch.nn.Parameter(torch.tensor([v])) for v in (2.0, 3.0))
    term = of_these_alone((ours * theirs**2).sum(), [ours])
    term.sum().backward()
    assert float(term.detach()) == 0.0 and ours.grad.tolist() == [9.0] and theirs.grad is None


def gradients(model: Any, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(0)
    model.train()(**batch)["loss"].backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_network_learns_from_both_answers_and_the_augmentation_from_its_own_terms() -> None:
    """Against the two objectives written out: equation 1 for F, equation 2 for G."""
    model, batch = shake(make_model({"lemda": 0.5})), make_batch(3)
    found = gradients(model, batch)
    learned = model.aids.learned
    torch.manual_seed(0)
    present, target = batch["present"], batch["target"]
    encoded = model.encode(batch["inputs"], present)
    plain = model.answer(encoded, present)
    changed, divergence = [], []
    for m, network in enumerate(learned.networks):
        change, code = network(encoded[m].vector_BD.detach())
        there = present[:, m]
        changed.append((encoded[m].vector_BD, torch.where(there[:, None], change, 0.0)))
        divergence.append((code * there).sum() / there.sum())

    def answered(detach_change: bool, detach_vector: bool) -> torch.Tensor:
        rows = copy.copy(encoded)
        for m, (vector, change) in enumerate(changed):
            vector = vector.detach() if detach_vector else vector
            rows[m] = type(encoded[m])(vector + (change.detach() if detach_change else change), None, None)
        return model.answer(rows, present)

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, target)

    task = loss(plain) + loss(answered(True, False))
    names = [n for n, _ in model.named_parameters() if "learned" not in n]
    values = [p for n, p in model.named_parameters() if "learned" not in n]
    for name, gradient in zip(
        names, torch.autograd.grad(task, values, retain_graph=True, allow_unused=True), strict=True
    ):
        if gradient is not None:
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
    other = answered(False, True)
    own = (
        -0.5 * loss(other) + CONSISTENT * consistency(plain, other, "classes") + PRIOR * torch.stack(divergence).mean()
    )
    for parameter, gradient in zip(
        learned.parameters(), torch.autograd.grad(own, [*learned.parameters()]), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    assert float(model.train()(**batch)["loss"].detach()) > 0


def test_the_augmentation_makes_the_task_harder_while_the_network_stands_still() -> None:
    model, batch = shake(make_model({"lemda": 1.0})), make_batch(3)
    optimizer = torch.optim.Adam(model.aids.learned.parameters(), lr=0.01)
    harder = []
    for _ in range(60):
        loss = model.train()(**batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        harder.append(float(loss.detach()))
    assert np.mean(harder[-5:]) > np.mean(harder[:5]) + 0.2


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_vectors_are_changed_in_training_only(task: str) -> None:
    model = shake(make_model({"lemda": 0.1}, task=task))
    batch = make_batch(3, task)
    plain = shake(make_model({"auxiliary": 0.0}, task=task))
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "learned" not in k}, strict=False)
    assert torch.equal(model.eval()(**batch)["logits"], plain.eval()(**batch)["logits"])
    assert torch.equal(model(**batch)["loss"], plain(**batch)["loss"])
    assert float(model.train()(**batch)["loss"].detach()) > 1.2 * float(plain.train()(**batch)["loss"].detach())


def test_it_is_off_without_a_weight() -> None:
    assert chosen_objectives(TrainSettings(), pair_head=False) == {}
    assert chosen_objectives(TrainSettings(lemda=0.0), pair_head=False) == {}
    assert chosen_objectives(TrainSettings(lemda=0.001), pair_head=False) == {"lemda": 0.001}
    assert make_model({"auxiliary": 0.3}).aids.learned is None
