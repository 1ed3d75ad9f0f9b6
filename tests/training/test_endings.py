"""How training ends: averaged weights, the loss that selects, scaled features, steps; each by a formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.training import SETTINGS, Judge, PowerCutError, largest_difference, make_model, make_rows
from plait.encoders.scaling import FeatureScaler
from plait.fusion.mixup import mixed
from plait.settings import RunSettings, set_values

train_model = lazy("plait.training.trainer", "train_model")
WeightAverage = lazy("plait.training.averaging", "WeightAverage")
resolve, Facts = lazy("plait.training.recipes", "resolve", "Facts")


def test_the_average_follows_its_formula() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    values, mean = [1.0, 5.0, -2.0, 4.0], 1.0
    with torch.no_grad():
        layer.weight.fill_(values[0])
        average = WeightAverage(layer, 0.25)
        for t, value in enumerate(values[1:], start=1):
            layer.weight.fill_(value)
            average.update()
            decay = min(0.25, (1 + t) / (10 + t))  # 2/11 and 3/12, then .25
            mean = decay * mean + (1 - decay) * value
    with average.in_place():
        assert layer.weight.item() == pytest.approx(mean)
    assert layer.weight.item() == 4.0


def test_averaged_weights_are_kept_and_evaluated(tmp_path: Path) -> None:
    """With a decay of nearly nothing they are the weights themselves."""
    plain, averaged, hardly = make_model(), make_model(), make_model()
    judge = Judge()
    train_model(plain, make_rows(), SETTINGS, tmp_path / "plain", score=Judge(scripted=[0.1, 0.2, 0.3, 0.4, 0.5]))
    train_model(averaged, make_rows(), replace(SETTINGS, ema=0.9), tmp_path / "ema", score=judge)
    scripted = Judge(scripted=[0.1, 0.2, 0.3, 0.4, 0.5])
    train_model(hardly, make_rows(), replace(SETTINGS, ema=1e-12), tmp_path / "hardly", score=scripted)
    assert largest_difference(plain, averaged) > 1e-3
    assert largest_difference(plain, hardly) < 1e-6
    assert any(all(torch.equal(v, averaged.state_dict()[k]) for k, v in seen.items()) for seen in judge.seen)


@pytest.mark.parametrize("cut_at", [2, 4])
def test_a_resumed_run_with_averaged_weights_equals_the_straight_one(tmp_path: Path, cut_at: int) -> None:
    settings = replace(SETTINGS, ema=0.9, accumulate=2)
    straight, resumed = make_model(), make_model()
    whole = train_model(straight, make_rows(), settings, tmp_path / "straight", score=Judge())
    with pytest.raises(PowerCutError):
        train_model(resumed, make_rows(), settings, tmp_path / "cut", score=Judge(cut_at=cut_at))
    resumed = make_model(seed=99)
    rest = train_model(resumed, make_rows(), settings, tmp_path / "cut", score=Judge(), resume=True)
    assert largest_difference(straight, resumed) == 0.0
    assert rest.epochs == whole.epochs


def test_two_small_batches_make_the_step_of_one_large_one(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"modality_dropout": 0.0}
    fusion = {"name": "concat", "width": 6, "dropout": 0.0, "options": {"normalise": False}}
    models = [make_model(modality_dropout=0.0, fusion=fusion) for _ in range(2)]
    settings = replace(SETTINGS, epochs=2, **changes)
    train_model(models[0], make_rows(), replace(settings, batch_size=16), tmp_path / "one")
    train_model(models[1], make_rows(), replace(settings, batch_size=8, accumulate=2), tmp_path / "two")
    assert largest_difference(*models) < 1e-5


def test_features_are_scaled_one_by_one() -> None:
    values = torch.tensor([[1.0, 100.0, 7.0], [3.0, 300.0, 7.0]])
    scaler = FeatureScaler(3)
    scaler.fit(values)
    assert scaler(values).tolist() == [[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
    assert scaler(torch.tensor([[1e6, 200.0, 8.0]])).tolist() == [[10.0, 0.0, 0.0]]


def test_mixup_blends_vectors_that_both_rows_have() -> None:
    from plait.encoders.base import Encoded

    torch.manual_seed(0)
    vector = torch.arange(8.0)[:, None]
    present = torch.ones(8, 2, dtype=torch.bool)
    present[3, 1] = False
    made, other, share = mixed([Encoded(vector, None, None), Encoded(vector, None, None)], present, 0.4)
    assert 0.5 <= float(share) <= 1.0
    blended = share * vector + (1 - share) * vector[other]
    assert torch.allclose(made[0].vector_BD, blended)
    lacks = (~present[:, 1]) | (~present[other, 1])
    assert torch.equal(made[1].vector_BD[lacks], vector[lacks])
    assert torch.allclose(made[1].vector_BD[~lacks], blended[~lacks])


def test_small_losses_follow_their_formulas() -> None:
    from plait.tasks.soft_loss import soft_class_loss, soft_label_loss

    logits, target = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    p = torch.softmax(logits, 1)[0]
    plain = -torch.log(p)
    found = soft_class_loss(logits, target, None, smoothing=0.3)
    assert found.item() == pytest.approx(float(0.7 * plain[0] + 0.1 * plain.sum()))
    found = soft_class_loss(logits, target, None, focus=2.0)
    assert found.item() == pytest.approx(float((1 - p[0]) ** 2 * plain[0]))
    q = torch.sigmoid(torch.tensor([1.0, -2.0]))
    wanted = -(0.9 * torch.log(q[0]) + 0.1 * torch.log(1 - q[0])) - (0.1 * torch.log(q[1]) + 0.9 * torch.log(1 - q[1]))
    found = soft_label_loss(torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]]), None, smoothing=0.2)
    assert found.item() == pytest.approx(float(wanted) / 2)
    wanted = -((1 - q[0]) ** 2) * torch.log(q[0]) - q[1] ** 2 * torch.log(1 - q[1])
    found = soft_label_loss(torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]]), None, focus=2.0)
    assert found.item() == pytest.approx(float(wanted) / 2)


def test_class_balance_is_by_the_effective_number() -> None:
    from plait.tasks import TASKS

    balance = TASKS.get("classification").balance
    assert balance is not None
    weights = balance(np.array([0, 0, 0, 1]), 2, 0.5)  # effective numbers 1.75 and 1
    assert weights[1] / weights[0] == pytest.approx(1.75) and sum(weights) == pytest.approx(2.0)


def test_a_loss_is_better_when_it_is_smaller() -> None:
    from plait.tasks import TASKS

    task = replace(TASKS.get("classification"), selects="log_loss")
    assert task.selecting({"log_loss": 0.3, "accuracy": 0.9}) == -0.3
    assert replace(task, selects=None).selecting({"log_loss": 0.3, "accuracy": 0.9}) == 0.9
    assert task.selecting({"log_loss": None}) is None


def test_fewest_steps_make_more_epochs() -> None:
    facts = Facts("classification", ("text",), 160)  # batches of 8: 20 steps a pass
    given = set_values(RunSettings(), ["train.min_steps=1200"])
    done = resolve(given, facts).train
    assert (done.epochs, done.patience) == (60, 16)
    assert resolve(set_values(given, ["train.epochs=3"]), facts).train.epochs == 3
    assert resolve(set_values(given, ["train.accumulate=2"]), facts).train.epochs == 120


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"train\.ema must be at least 0\.0 and below 1, got 1"):
        set_values(RunSettings(), ["train.ema=1"])
    with pytest.raises(ValueError, match=r"task\.class_weights and task\.class_balance"):
        set_values(RunSettings(), ["task.class_weights=true", "task.class_balance=0.9"])
