"""OPM, unimodal teachers, MMPareto and CoMM: each against its formula in numpy or by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.tiny_models import make_batch, make_model, shake
from plait.objectives.hiding import PredictionModulation, hiding_rates
from plait.objectives.multimodal_contrast import contrast, same_rows
from plait.objectives.pareto import ParetoGradients, share_of_joint
from plait.objectives.teachers import UnimodalTeachers
from plait.settings import TrainSettings
from plait.settings.groups import OPTIMIZERS

make_optimizer = lazy("plait.training.optimizer", "make_optimizer")


def test_hiding_rates_worked_by_hand() -> None:
    # .6 against .3: rho = 2, q = .5 (1 + tanh(1) / 2); the other is behind
    assert hiding_rates(torch.tensor([0.6, 0.3]), 0.5).tolist() == pytest.approx([0.5 * (1 + np.tanh(1.0) / 2), 0.0])
    three = hiding_rates(torch.tensor([0.6, 0.3, 0.5]), 0.5).tolist()  # means of the others .4, .55 and .45
    wanted = [0.5 * (1 + np.tanh(rho - 1) / 2) for rho in (0.6 / 0.4, 0.5 / 0.45)]
    assert three == pytest.approx([wanted[0], 0.0, wanted[1]])
    assert hiding_rates(torch.tensor([0.5, 0.5]), 0.5).tolist() == [0.0, 0.0]
    assert hiding_rates(torch.tensor([0.9, 0.1]), 0.9).tolist() == [1.0, 0.0]


def test_the_modality_that_leads_is_hidden_in_seven_of_ten_batches() -> None:
    answers = torch.tensor([[[9.0, 0.0], [0.0, 0.0]]]).repeat(200, 1, 1)
    there, target = torch.ones(200, 2, dtype=torch.bool), torch.zeros(200, dtype=torch.long)
    there[0, 1] = False  # its only modality is not taken
    torch.manual_seed(0)
    shares = []
    for _ in range(300):
        seen = PredictionModulation(0.5).hide(answers, there, there, target)
        assert seen[0].tolist() == [True, False] and seen[1:, 1].all()
        shares.append(1 - float(seen[1:, 0].float().mean()))
    done = [s for s in shares if s > 0]
    assert len(done) / 300 == pytest.approx(0.7, abs=0.08)
    assert np.mean(done) == pytest.approx(0.5 * (1 + np.tanh(1.0) / 2), abs=0.02)


def test_distance_to_the_teachers_worked_by_hand() -> None:
    teachers = UnimodalTeachers(0.5)
    teachers.learn_from([torch.tensor([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0]]), torch.tensor([[1.0], [2.0], [3.0]])])
    vectors = [torch.tensor([[4.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0], [9.0]])]
    there = torch.tensor([[True, True], [True, False]])
    # rows 2 and 0: (0 + 4) / 2 = 2 and 0, mean 1; row 2 alone: 9. Half of their sum
    assert float(teachers(vectors, there, torch.tensor([2, 0]))) == pytest.approx(0.5 * (1.0 + 9.0))
    assert teachers(vectors, there, None) is None
    teachers.forget()
    assert teachers(vectors, there, torch.tensor([2, 0])) is None


def test_share_of_the_shortest_mean_of_two_gradients() -> None:
    joint, own = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 1.0])
    best = share_of_joint(joint, own)
    grid = np.linspace(0, 1, 10_001)
    lengths = [np.linalg.norm(a * joint.numpy() + (1 - a) * own.numpy()) for a in grid]
    assert best == pytest.approx(grid[int(np.argmin(lengths))], abs=1e-4)
    mixed = best * joint + (1 - best) * own
    assert float(mixed @ joint) > 0 and float(mixed @ own) > 0  # neither loss rises
    assert share_of_joint(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0])) == 0.5
    assert share_of_joint(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])) == pytest.approx(0.5)


def settings_of(optimizer: str) -> TrainSettings:
    return TrainSettings(
        optimizer=optimizer, learning_rate=0.02, encoder_learning_rate=0.02, weight_decay=0.0, momentum=0.0
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [None, 0.01])
def test_pareto_step_is_the_mixed_direction_and_gamma_times_as_long(optimizer: str, clip: float | None) -> None:
    batch = make_batch(3)
    model = shake(make_model({"mmpareto": 1.5}))
    torch.manual_seed(3)
    with torch.no_grad():
        for head in model.aids.auxiliary.heads:  # contradict the joint answer somewhere
            head.linear.weight.mul_(-8)
    plain = copy.deepcopy(model)
    made = [make_optimizer(m, settings_of(optimizer)) for m in (plain, model)]
    model.train()(**batch)["loss"].backward()
    whole = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    pareto: ParetoGradients = model.aids.pareto
    wanted, mixed_somewhere = dict(whole), False
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        wanted = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    for m in range(3):
        names = [n for n in whole if n.startswith(f"aids.adapters.{m}.")]
        own = torch.cat([g.flatten() for g in pareto.own[m]])
        joint = torch.cat([whole[n].flatten() for n in names]) - own
        if float(joint @ own) < 0:
            mixed_somewhere = True
            share = float(own @ (own - joint) / ((joint - own) ** 2).sum())
            h = share * joint + (1 - share) * own
            length = torch.cat([wanted[n].flatten() for n in names]).norm()
            pieces = torch.split(h * length / h.norm(), [wanted[n].numel() for n in names])
            wanted |= {n: piece.view_as(wanted[n]) for n, piece in zip(names, pieces, strict=True)}
    assert mixed_somewhere
    old = {n: p.detach().clone() for n, p in model.named_parameters()}
    for name, parameter in plain.named_parameters():
        parameter.grad = wanted.get(name)
    made[0].step()
    model.before_step()
    made[1].step()
    model.after_step()
    reference = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        factor = 1.5 if name.startswith("aids.adapters.") else 1.0
        moved = (reference[name] - old[name]) * factor
        torch.testing.assert_close(parameter - old[name], moved, rtol=2e-3, atol=1e-6)
    assert not pareto.all and not pareto.before  # of one step


def test_pareto_loss_is_the_sum_of_all_losses() -> None:
    batch = make_batch(3)
    model, plain = shake(make_model({"mmpareto": 1.0})), shake(make_model({"auxiliary": 3.0}))
    plain.load_state_dict(model.state_dict())
    first, second = (float(m.train()(**batch)["loss"].detach()) for m in (model, plain))
    assert first == pytest.approx(second, rel=1e-6)  # 3 times the mean of three


def test_contrast_of_two_views_worked_by_hand() -> None:
    generator = np.random.default_rng(0)
    left, right = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in generator.normal(size=(2, 4, 3)))
    same = np.zeros((4, 4), dtype=bool)
    same[0, 2] = same[2, 0] = True
    both = np.concatenate([left, right])
    losses = []
    for i in range(8):
        other = (i + 4) % 8
        scores = {j: both[i] @ both[j] / 0.1 for j in range(8) if j != i and (j == other or not same[i % 4, j % 4])}
        losses.append(np.log(sum(np.exp(s) for s in scores.values())) - scores[other])
    got = contrast(torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(same))
    assert float(got) == pytest.approx(np.mean(losses), rel=1e-9)


def test_rows_with_the_same_items_are_no_negatives_and_missing_items_are_not_the_same() -> None:
    group, keys = torch.tensor([0, 1, 2, 2]), torch.tensor([[5, -1], [5, -1], [6, -1], [7, 8]])
    same = same_rows(group, keys)
    assert same[0, 1] and same[2, 3] and not same[0, 2] and not same.diagonal().any()


def test_comm_compares_two_views_of_all_and_of_each_alone() -> None:
    model, batch = make_model({"comm": 0.4}), make_batch(3)
    batch["present"][:] = True
    shown = []
    fuse = model.fuse

    def watched(encoded: list, present: torch.Tensor) -> object:
        shown.append(present.clone())
        return fuse(encoded, present)

    model.fuse = watched
    torch.manual_seed(0)
    plain = float(make_model({"auxiliary": 0.0}).train()(**batch)["loss"].detach())
    assert float(model.train()(**batch)["loss"].detach()) > plain
    patterns = [p[0].tolist() for p in shown[1:]]  # the first is the joint answer
    one_view = [[True] * 3, [True, False, False], [False, True, False], [False, False, True]]
    assert patterns == one_view * 2
