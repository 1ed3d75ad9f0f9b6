"""Each aid against numbers worked by hand or written out again in numpy, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.tiny_models import make_batch, make_model, shake
from plait.fusion import EncodedDims
from plait.heads.temperature import inverse_temperature, keep_below_ceiling
from plait.objectives import (
    Adapter,
    Alignment,
    AuxiliaryHeads,
    GradientBlending,
    GradientModulation,
    blending_weights,
    orthogonality,
    overlap,
)
from plait.objectives.modulation import factors, scores

DIMS = [EncodedDims(5), EncodedDims(6), EncodedDims(7)]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def doubles(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_adapter_is_a_residual_that_starts_at_the_identity() -> None:
    adapter = Adapter(5).double()
    x = random(4, 5) * 100
    assert torch.equal(adapter(x), x)
    with torch.no_grad():
        adapter.linear.weight.copy_(random(5, 5, seed=1))
        adapter.linear.bias.copy_(random(5, seed=2))
    expected = x.numpy() + norm(x.numpy()) @ random(5, 5, seed=1).numpy().T + random(5, seed=2).numpy()
    np.testing.assert_allclose(adapter(x).detach().numpy(), expected, rtol=1e-12)


def test_auxiliary_loss_is_the_mean_over_modalities_of_the_mean_over_rows_that_have_it() -> None:
    model = shake(make_model({"auxiliary": 0.3})).double().train()
    batch = make_batch(3)
    for tensors in batch["inputs"].values():
        tensors["vector_BD"], tensors["tokens_BTD"] = tensors["vector_BD"].double(), tensors["tokens_BTD"].double()
    present, target = batch["present"].numpy(), batch["target"].numpy()
    terms = []
    for m in range(3):
        x = batch["inputs"][f"m{m}"]["vector_BD"].numpy()
        a = model.aids.adapters[m].linear
        x = x + norm(x) @ a.weight.detach().numpy().T + a.bias.detach().numpy()
        h = model.aids.auxiliary.heads[m].linear
        logits = norm(x) @ h.weight.detach().numpy().T + h.bias.detach().numpy()
        loss = -log_softmax(logits)[np.arange(len(target)), target]
        terms.append(loss[present[:, m]].mean())
    joint = float(model.eval()(**batch)["loss"].detach())
    loss = float(model.train()(**batch)["loss"].detach())
    assert loss == pytest.approx(joint + 0.3 * np.mean(terms), rel=1e-12)


def test_blending_weights_worked_by_hand() -> None:
    even = doubles([1 / 3] * 3)
    # drops .2, .4, .1 and growths of the gap .1, .4, .05: G / O^2 is 20, 2.5, 40
    got = blending_weights(
        doubles([1.0, 1.0, 1.0]), doubles([1.0, 1.0, 1.1]), doubles([0.7, 0.2, 0.85]), doubles([0.8, 0.6, 1.0]), even
    )
    np.testing.assert_allclose(got.numpy(), 0.9 * np.array([20, 2.5, 40]) / 62.5 + 0.1 / 3, rtol=1e-9)
    # a validation loss that rose is no drop (the loss itself is not the drop: the worst head must not lead)
    got = blending_weights(
        doubles([1.0, 1.0, 1.0]), doubles([1.0, 1.0, 1.0]), doubles([0.8, 0.1, 0.9]), doubles([0.9, 1.5, 1.0]), even
    )
    np.testing.assert_allclose(got.numpy(), [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], rtol=1e-9)
    # a gap that shrank or hardly grew counts as growth 0.05, no less
    got = blending_weights(
        doubles([1.0, 1.0]), doubles([1.2, 1.0]), doubles([0.8, 0.88]), doubles([0.8, 0.9]), doubles([0.5, 0.5])
    )
    np.testing.assert_allclose(got.numpy(), 0.9 * np.array([160, 40]) / 200 + 0.05, rtol=1e-6)
    # nothing dropped: the weights before stay
    before = doubles([0.2, 0.3, 0.5])
    ones = doubles([1.0, 1.0, 1.0])
    assert torch.equal(blending_weights(ones, ones, 0.5 * ones, 1.1 * ones, before), before)


def test_blending_takes_the_first_losses_as_the_start_and_blends_the_losses() -> None:
    blending = GradientBlending(2).double()
    losses_M, joint = doubles([1.0, 2.0]), doubles([4.0])[0]
    assert float(blending(losses_M, joint)) == pytest.approx(7 / 3)
    blending.observe(doubles([1.0, 1.0, 1.0]), doubles([1.0, 1.0, 1.1]))
    assert blending.weights_K.tolist() == pytest.approx([1 / 3] * 3)
    for _ in range(2):  # from the start, so that the same losses give the same weights again
        blending.observe(doubles([0.7, 0.2, 0.85]), doubles([0.8, 0.6, 1.0]))
        expected = 0.9 * np.array([20, 2.5, 40]) / 62.5 + 0.1 / 3
        np.testing.assert_allclose(blending.weights_K.numpy(), expected, rtol=1e-6)
    assert float(blending(losses_M, joint)) == pytest.approx(float(expected @ [1, 2, 4]))
    assert int(blending.num_observed) == 3
    assert {"weights_K", "train_start_K", "val_start_K", "num_observed"} == set(blending.state_dict())


def test_ogm_factors_of_two_are_the_papers_and_of_three_take_the_mean_of_the_others() -> None:
    ratio = 0.6 / 0.4
    assert factors(doubles([0.6, 0.4]), 0.8).tolist() == pytest.approx([1 - np.tanh(0.8 * ratio), 1.0])
    assert factors(doubles([0.4, 0.6]), 0.8).tolist() == pytest.approx([1.0, 1 - np.tanh(0.8 * ratio)])
    assert factors(doubles([0.5, 0.5]), 0.8).tolist() == [1.0, 1.0]
    got = factors(doubles([0.9, 0.5, 0.4]), 0.3).tolist()
    assert got == pytest.approx([1 - np.tanh(0.3 * 0.9 / 0.45), 1.0, 1.0])
    # one that no row of the batch has is neither ahead nor one of the others
    assert factors(doubles([0.6, 0.0, 0.4]), 0.8).tolist() == pytest.approx([1 - np.tanh(0.8 * ratio), 1.0, 1.0])
    assert factors(doubles([0.6, 0.0]), 0.8).tolist() == [1.0, 1.0]


def test_ogm_score_is_the_mean_probability_of_the_right_class_where_present() -> None:
    answers = random(4, 2, 3)
    present = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    target = torch.tensor([0, 2, 1, 1])
    proba = np.exp(log_softmax(answers.numpy()))
    right = np.stack([proba[np.arange(4), m, target.numpy()] for m in range(2)], axis=1)
    expected = [right[:, 0].mean(), right[[0, 2], 1].mean()]
    np.testing.assert_allclose(scores(answers, present, target).numpy(), expected, rtol=1e-12)
    assert scores(answers, torch.zeros_like(present), target).tolist() == [0.0, 0.0]


def test_ogm_scales_the_step_of_any_optimizer_and_its_noise_has_the_spread_of_the_step() -> None:
    def parameters() -> list[list[torch.nn.Parameter]]:
        torch.manual_seed(5)
        made = [[torch.nn.Parameter(torch.randn(200, 200)), torch.nn.Parameter(torch.zeros(1))] for _ in range(2)]
        for m, own in enumerate(made):
            for p in own:
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(m)) * (m + 1) + 0.5
        return made

    answers = torch.zeros(1, 2, 2)
    answers[0, 0, 0] = 2.0  # modality 0 is right with .88, modality 1 with .5
    present, target = torch.ones(1, 2, dtype=torch.bool), torch.tensor([0])
    k = [1 - np.tanh(0.4 * float(torch.sigmoid(torch.tensor(2.0))) / 0.5), 1.0]
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        start, plain = parameters(), parameters()
        kind([p for own in plain for p in own], lr=0.1, weight_decay=0.3).step()
        for noise in (False, True):
            aid, own = GradientModulation(0.4, noise=noise), parameters()
            optimizer = kind([p for x in own for p in x], lr=0.1, weight_decay=0.3)
            aid.measure(answers, present, target)
            aid.before_step(own)
            optimizer.step()
            torch.manual_seed(0)
            aid.after_step()
            for m in range(2):
                whole = (plain[m][0] - start[m][0]).detach()
                rest = (own[m][0] - start[m][0]).detach() - k[m] * whole
                if noise:
                    assert float(rest.std()) == pytest.approx(float(whole.std()), rel=0.02)
                else:
                    np.testing.assert_allclose(rest.numpy(), 0.0, atol=1e-6)
                assert torch.allclose(own[m][1], k[m] * plain[m][1])  # a single number has no spread
    aid, own = GradientModulation(0.4), parameters()
    aid.before_step(own)  # nothing was measured: nothing happens
    aid.after_step()
    assert all(torch.equal(a, b) for x, y in zip(own, start, strict=True) for a, b in zip(x, y, strict=True))


def test_temperature_above_its_ceiling_comes_back_and_learns() -> None:
    aid = Alignment(DIMS, 4).double()
    with torch.no_grad():
        aid.log_temperature.fill_(6.0)
    vectors = [random(7, d.vector_dim, seed=m) for m, d in enumerate(DIMS)]
    present, rows = torch.ones(7, 3, dtype=torch.bool), torch.arange(7)
    loss = aid(vectors, present, rows, rows[:, None].repeat(1, 3))
    loss.backward()
    assert float(aid.log_temperature.grad) > 0  # too sure of wrong pairs: the temperature must rise
    torch.optim.SGD([aid.log_temperature], lr=0.001).step()
    keep_below_ceiling(aid.log_temperature)
    assert aid.log_temperature.item() == pytest.approx(np.log(100))
    assert float(inverse_temperature(torch.tensor(6.0))) == pytest.approx(100.0, rel=1e-5)


def test_alignment_is_the_mean_of_symmetric_cross_entropies_without_mates_and_missing_rows() -> None:
    torch.manual_seed(0)
    aid = Alignment(DIMS, 4).double()
    vectors = [random(7, d.vector_dim, seed=m) for m, d in enumerate(DIMS)]
    present = torch.ones(7, 3, dtype=torch.bool)
    present[0, 0] = present[6, 1] = present[6, 2] = False
    group = torch.tensor([0, 1, 2, 1, 4, 5, 6])
    keys = torch.arange(7)[:, None].repeat(1, 3)
    keys[4, 1] = 2  # rows 2 and 4 share an item of modality 1
    unit = []
    for p, v in zip(aid.projections, vectors, strict=True):
        z = norm(v.numpy()) @ p.linear.weight.detach().numpy().T + p.linear.bias.detach().numpy()
        unit.append(z / np.linalg.norm(z, axis=1, keepdims=True))
    terms = []
    for m, n in ((0, 1), (0, 2), (1, 2)):
        rows = [i for i in range(7) if present[i, m] and present[i, n]]
        total = 0.0
        for i in rows:
            for a, b in ((m, n), (n, m)):
                others = [
                    j for j in rows
                    if j == i or not (group[i] == group[j] or keys[i, m] == keys[j, m] or keys[i, n] == keys[j, n])
                ]  # fmt: skip
                logits = np.array([unit[a][i] @ unit[b][j] / 0.07 for j in others])
                total -= log_softmax(logits)[others.index(i)]
        terms.append(total / (2 * len(rows)))
    got = float(aid(vectors, present, group, keys).detach())
    assert got == pytest.approx(np.mean(terms), rel=1e-6)  # the temperature is kept in float32
    changed = torch.arange(7)  # group mates as negatives: another value
    assert float(aid(vectors, present, changed, keys).detach()) != pytest.approx(got, rel=1e-4)
    assert aid(vectors, torch.zeros_like(present), group, keys) is None


def test_overlap_of_hand_cases() -> None:
    x = random(6, 4)
    rotation = torch.linalg.qr(random(4, 4, seed=1))[0]
    assert float(overlap(x, x)) == pytest.approx(1.0)
    assert float(overlap(x, x @ rotation * 3 + 5)) == pytest.approx(1.0)
    left = doubles([1, 1, -1, -1])[:, None]
    right = doubles([1, -1, 1, -1])[:, None]
    assert float(overlap(left, right)) == 0.0
    assert float(overlap(left, left * -2)) == 1.0
    # one of the two columns of the right side repeats the left one: 2 sqrt(2) / (2 * 2) worked out by hand
    both = torch.cat([left, right], dim=1)
    assert float(overlap(left, both)) == pytest.approx(np.sqrt(0.5))
    assert float(overlap(torch.ones(4, 3), torch.ones(4, 2))) == 0.0
    # neither batch size nor width matters
    assert float(overlap(left.repeat(9, 5), both.repeat(9, 3))) == pytest.approx(np.sqrt(0.5))


def test_overlap_is_cka_and_its_gradient_that_of_the_squared_norm() -> None:
    x, y = random(9, 4).requires_grad_(), random(9, 3, seed=1)

    def unit(z: torch.Tensor) -> torch.Tensor:
        z = z - z.mean(0)
        return z / z.norm(dim=1, keepdim=True)

    a, b = unit(x), unit(y)
    value = overlap(x, y)
    size = ((a.T @ a).norm() * (b.T @ b).norm()).detach()
    assert float(value.detach()) == pytest.approx(float(((a.T @ b).norm() ** 2 / size).detach()), rel=1e-12)
    got = torch.autograd.grad(value, x)[0]
    expected = torch.autograd.grad((a.T @ b).norm() ** 2, x)[0] / size
    torch.testing.assert_close(got, expected)


def test_orthogonality_is_the_mean_over_pairs_on_shared_rows() -> None:
    vectors = [random(8, 4, seed=m) for m in range(3)]
    present = torch.ones(8, 3, dtype=torch.bool)
    present[0, 0] = present[1, 1] = False
    expected = (overlap(vectors[0][2:], vectors[1][2:]) + overlap(vectors[0][1:], vectors[2][1:])) / 3
    rest = [0, *range(2, 8)]
    expected = expected + overlap(vectors[1][rest], vectors[2][rest]) / 3
    assert float(orthogonality(vectors, present)) == pytest.approx(float(expected), rel=1e-12)
    assert orthogonality(vectors, present[:, :1] & torch.eye(8, 3, dtype=torch.bool)) is None


def test_auxiliary_heads_answer_for_each_modality() -> None:
    heads = AuxiliaryHeads(DIMS, 4).double()
    vectors = [random(3, d.vector_dim, seed=m) for m, d in enumerate(DIMS)]
    first = heads(vectors)
    assert first.shape == (3, 3, 4)
    vectors[1] = vectors[1].flip(0)
    changed = (heads(vectors) != first).any(-1)
    assert not changed[:, [0, 2]].any() and changed[:, 1].any()
