"""Pretraining before the labelled step: it helps on planted rows, the head starts fresh, nothing else moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from plait.inputs.dataset import RowBatches
from plait.tasks import TASKS

Plan = lazy("plait.training.plan", "Plan")
build_model = lazy("plait.training.build", "build_model")
fit_model = lazy("plait.training.fit", "fit_model")
check_pretraining = lazy("plait.training.pretraining", "check_pretraining")
pretrain = lazy("plait.training.pretraining", "pretrain")
rows_without_targets = lazy("plait.training.pretraining", "rows_without_targets")
predict_logits = lazy("plait.inference.forward", "predict_logits")
prepare_run = lazy("plait.api.preparing", "prepare_run")
open_run = lazy("plait.api.opening", "open_run")

CLASSES, LATENT, WIDTH = 4, 6, 64
LABELLED = 32


def planted(rows: int, seed: int) -> dict[str, list[Any]]:
    """Two vectors that show the same six numbers, those of a class, under noise of each place's own."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(100)
    show = [fixed.normal(size=(LATENT, WIDTH)) / np.sqrt(LATENT) for _ in range(2)]
    middle = fixed.normal(size=(CLASSES, LATENT))
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    label = rng.integers(CLASSES, size=rows)
    hidden = 2.2 * middle[label] + 0.35 * rng.normal(size=(rows, LATENT))
    left, right = (hidden @ one + 2.5 * rng.normal(size=(rows, WIDTH)) for one in show)
    split = ["train"] * LABELLED + ["test"] * (rows - LABELLED)
    return {"left": left.tolist(), "right": right.tolist(), "y": [f"c{i}" for i in label], "split": split}


def plan_of(table: dict[str, list[Any]], *settings: str, unlabelled: bool = True) -> Plan:
    """A plan whose test rows are unlabelled ones: pretraining sees them, and nothing their targets."""
    from plait.settings import RunSettings

    given = {"data.target": "y", "data.vector": ["left", "right"], "data.split": "split", "fusion.name": "concat",
             "train.epochs": 15, "preset": "single"}  # fmt: skip
    always = ["fusion.width=16", "train.learning_rate=0.01", "train.threads=1", "train.batch_size=16"]
    opened = open_run(table, given, RunSettings(), [*always, *settings], annotations=None)
    ready = prepare_run(opened, with_tokens=False)
    test = ready.usable[opened.split[ready.usable] == "test"]
    return replace(ready.plan, pretraining_rows=test) if unlabelled else ready.plan


@pytest.fixture(scope="module")
def many() -> Iterator[Plan]:
    yield plan_of(planted(600, 1))


def under(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, settings=replace(plan.settings, pretrain=replace(plan.settings.pretrain, **changes)))


def right(plan: Plan, folder: Path) -> float:
    """Accuracy on the unlabelled rows of a network trained on the labelled ones."""
    model, _ = fit_model(plan, ["left", "right"], folder, checkpoints=False)
    index_NM = plan.prepared.rows.index_NM[plan.pretraining_rows]
    answers_N = predict_logits(model, RowBatches(plan.prepared.sources, index_NM)).argmax(1)
    return float((answers_N == plan.target[plan.pretraining_rows]).mean())


def test_contrast_on_many_rows_helps_few_labels(many: Plan, tmp_path: Path) -> None:
    gains = []
    for number, plan in enumerate((many, plan_of(planted(600, 2)))):
        plain = right(plan, tmp_path / f"plain-{number}")
        gains.append(right(under(plan, objective="comm", epochs=25), tmp_path / f"comm-{number}") - plain)
    assert min(gains) > 0 and sum(gains) / 2 > 0.05, gains


def weights(plan: Plan) -> tuple[dict[str, torch.Tensor], Any]:
    torch.manual_seed(plan.settings.train.seed)
    model = build_model(plan, ["left", "right"])
    done = pretrain(plan, model, plan.prepared.sources, plan.prepared.rows.index_NM)
    return {k: v.clone() for k, v in model.state_dict().items()}, done


@pytest.mark.parametrize("objective", ["align", "comm", "masked"])
def test_the_head_starts_fresh_and_one_seed_gives_one_network(many: Plan, objective: str) -> None:
    fresh, nothing = weights(many)
    first, done = weights(under(many, objective=objective, epochs=10))
    again, _ = weights(under(many, objective=objective, epochs=10))
    assert nothing is None and done.epochs == 10
    assert (done.rows, done.unlabelled) == (len(many.train) + 600 - LABELLED, 600 - LABELLED)
    assert done.last < done.first
    assert all(torch.equal(first[k], again[k]) for k in first)
    heads = [k for k in first if k.startswith("head.")]
    assert heads and all(torch.equal(first[k], fresh[k]) for k in heads)
    assert not all(torch.equal(first[k], fresh[k]) for k in first if k.startswith("fusion."))


def test_targets_are_not_looked_at(many: Plan) -> None:
    asked = under(many, objective="masked", epochs=1)
    first, _ = weights(asked)
    other, _ = weights(replace(asked, target=(many.target + 1) % CLASSES))
    assert all(torch.equal(first[k], other[k]) for k in first)


def test_nothing_random_is_drawn_from_what_training_draws_from(many: Plan) -> None:
    torch.manual_seed(5)
    model = build_model(many, ["left", "right"])
    state = torch.get_rng_state()
    pretrain(under(many, objective="comm", epochs=1), model, many.prepared.sources, many.prepared.rows.index_NM)
    assert torch.equal(state, torch.get_rng_state())


def test_unlabelled_rows_stay_out_of_the_labelled_step(many: Plan, tmp_path: Path) -> None:
    """They change a network only through pretraining; without it, it is the same to the bit."""
    made = []
    for plan in (many, replace(many, pretraining_rows=np.zeros(0, dtype=np.int64))):
        model, history = fit_model(plan, ["left", "right"], tmp_path / "x", checkpoints=False)
        made.append(model.state_dict())
        assert history.pretraining is None
    assert all(torch.equal(made[0][k], made[1][k]) for k in made[0])
    assert rows_without_targets(replace(many, pretraining_rows=np.array([7]))).tolist() == [*many.train.tolist(), 7]


def test_a_modality_alone_is_not_pretrained(many: Plan, tmp_path: Path) -> None:
    _, history = fit_model(under(many, objective="comm"), ["left"], tmp_path / "x", checkpoints=False)
    assert history.pretraining is None


def test_rows_without_two_modalities_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused by their cells, before anything is encoded."""
    from plait.api import preparing

    table = planted(60, 0)
    table["left"] = [None if i % 2 else v for i, v in enumerate(table["left"])]
    table["right"] = [v if i % 2 else None for i, v in enumerate(table["right"])]

    def encode(*given: Any, **options: Any) -> Any:
        raise AssertionError("encoded")

    monkeypatch.setattr(preparing, "prepare", encode)
    with pytest.raises(ValueError, match="align found nothing to learn from.*pretrain.objective=none"):
        plan_of(table, "pretrain.objective=align", "pretrain.epochs=1")
    with pytest.raises(AssertionError, match="encoded"):
        plan_of(planted(60, 0), "pretrain.objective=align", "pretrain.epochs=1")


@pytest.mark.parametrize("task", ["captioning", "matching", "retrieval"])
def test_tasks_without_labels_or_numbers_are_refused(many: Plan, task: str) -> None:
    asked = under(many, objective="comm").settings
    with pytest.raises(ValueError, match=f"comm goes before learning labels or numbers, and task '{task}'.*=none"):
        check_pretraining(asked, TASKS.get(task), many.inputs)
    check_pretraining(many.settings, TASKS.get(task), many.inputs)  # nothing is asked
    check_pretraining(asked, many.task, many.inputs)
