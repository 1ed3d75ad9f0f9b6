"""k networks in one: the layer against its equation, the mean of k answers, and the mean of k losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.training import make_model
from plait.fusion import EncodedDims, FusionOutput
from plait.heads import MembersHead
from plait.heads.members import AdaptedLinear

DIMS = [EncodedDims(3)]


def head(outputs: str, num_outputs: int, **options: int) -> MembersHead:
    torch.manual_seed(1)
    made = MembersHead(DIMS, 3, num_outputs, outputs=outputs, members=4, **options).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return made


def test_an_adapted_layer_is_its_equation() -> None:
    """W = [[1, 2]], r = (1, -1) and (3, 0), s = 2 and 1, b = .5 and 0, x = (1, 1): -1.5 and 3."""
    layer = AdaptedLinear(2, 1, 2, signs=True)
    with torch.no_grad():
        layer.weight_EI.copy_(torch.tensor([[1.0, 2.0]]))
        layer.r_KI.copy_(torch.tensor([[1.0, -1.0], [3.0, 0.0]]))
        layer.s_KE.copy_(torch.tensor([[2.0], [1.0]]))
        layer.bias_KE.copy_(torch.tensor([[0.5], [0.0]]))
    assert layer(torch.ones(1, 2, 2)).flatten().tolist() == [-1.5, 3.0]


def test_only_the_first_layer_starts_with_signs() -> None:
    layers = MembersHead(DIMS, 3, 1, outputs="number", layers=3).layers
    assert set(layers[0].r_KI.flatten().tolist()) == {-1.0, 1.0}
    assert all(set(layer.r_KI.flatten().tolist()) == {1.0} for layer in list(layers)[1:])
    assert all(set(layer.s_KE.flatten().tolist()) == {1.0} for layer in layers)


def test_each_member_is_a_network_of_its_own() -> None:
    made = head("number", 2)
    x = torch.randn(5, 3)
    for k in range(4):
        hidden = x
        for layer in made.layers:
            weight = layer.s_KE[k][:, None] * layer.weight_EI * layer.r_KI[k]
            hidden = torch.relu(hidden @ weight.T + layer.bias_KE[k])
        wanted = hidden @ made.last_KDC[k] + made.last_bias_KC[k]
        assert torch.allclose(made.member_logits(FusionOutput(x))[:, k], wanted, atol=1e-5)


@pytest.mark.parametrize(("outputs", "num_outputs"), [("number", 1), ("classes", 3), ("labels", 3)])
def test_the_answer_is_the_mean_of_numbers_or_of_probabilities(outputs: str, num_outputs: int) -> None:
    made, fused = head(outputs, num_outputs), FusionOutput(torch.randn(6, 3))
    to_scale = {
        "number": lambda x: x, "classes": lambda x: torch.softmax(x, dim=-1), "labels": torch.sigmoid
    }[outputs]  # fmt: skip
    wanted = to_scale(made.member_logits(fused)).mean(1)
    found = to_scale(made(fused, torch.ones(6, 1, dtype=torch.bool)))
    assert np.allclose(found.detach(), wanted.detach(), atol=1e-6)


def test_training_takes_the_mean_of_the_losses_and_not_the_loss_of_the_mean() -> None:
    changes = {
        "head": {"name": "members", "dropout": 0.0, "options": {"outputs": "number", "hidden_dropout": 0.0}},
        "task": "regression", "num_outputs": 1, "modality_dropout": 0.0,
        "fusion": {"name": "concat", "width": 6, "dropout": 0.0, "options": {}},
    }  # fmt: skip
    model = make_model(**changes).train()
    inputs = {name: {"vector_BD": torch.randn(8, 2)} for name in ("a", "b")}
    present, target = torch.ones(8, 2, dtype=torch.bool), torch.randn(8)
    with torch.no_grad():
        answers = model.head.member_logits(model.fuse(model.encode(inputs, present), present))
    each = torch.stack([model.task.loss(answers[:, k], target, None).mean() for k in range(answers.shape[1])])
    of_mean = model.task.loss(answers.mean(1), target, None).mean()
    trained = model(inputs, present, target)["loss"].detach()
    assert float(trained) == pytest.approx(float(each.mean()), rel=1e-5)
    assert float(trained) > float(of_mean)
    with torch.no_grad():
        judged = model.eval()(inputs, present, target)["loss"]
    assert float(judged) == pytest.approx(float(of_mean), rel=1e-5)


def test_answers_in_words_are_refused() -> None:
    with pytest.raises(ValueError, match="head 'members' averages classes, labels or numbers, got outputs 'text'"):
        MembersHead(DIMS, 3, 5, outputs="text")
