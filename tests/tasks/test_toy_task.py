"""A task of one's own: one record, registered from outside the package, does all that the tasks of the package do.

The task counts: Poisson regression, whose network gives the logarithm of a rate. The planted table holds a word that
makes the rate six times as high and a number that doubles it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import plait
from fixtures.settings import SCRATCH
from plait.tasks import TASKS, LabelState, Task
from plait.tasks.labels import number

RATES = {("few", 0): 1.0, ("few", 1): 2.0, ("many", 0): 6.0, ("many", 1): 12.0}


def read_count(cell: object) -> int | None:
    value = number(cell)
    return int(value) if value is not None and value >= 0 and value.is_integer() else None


def poisson_loss(logits_B1: Tensor, target_B: Tensor, weight_C: Tensor | None) -> Tensor:
    return functional.poisson_nll_loss(logits_B1.squeeze(1), target_B, log_input=True, reduction="none")


def deviance(target: np.ndarray, rate: np.ndarray) -> float:
    safe = np.where(target > 0, target, 1.0)
    return float(2 * (target * np.log(safe / rate) - (target - rate)).sum())


def count_metrics(target: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """Share of the Poisson deviance that is explained, and the mean absolute error."""
    rate = np.maximum(outputs[:, 0], 0.01)  # what EMAP adds up from parts may lie below 0
    total = deviance(target, np.full(len(target), target.mean())) if target.any() else 0.0
    d2 = 1 - deviance(target, rate) / total if total > 0 else None
    return {"d2": d2, "mae": float(np.abs(target - rate).mean()), "notes": []}


def learn_fast(chosen: Any, facts: Any) -> None:
    chosen["train"] |= {"learning_rate": 0.01, "epochs": 20}


@pytest.fixture(scope="module")
def count_task() -> Iterator[Task]:
    from plait.training.recipes import TASK_CHOICES
    from plait.training.recipes.base import TaskChoices

    task = Task(
        name="count", parse=read_count, expects="a whole number from 0", fit=lambda values: LabelState(),
        encode=lambda values, state: np.asarray(values, dtype=np.float32), loss=poisson_loss,
        activate=lambda logits, state: np.exp(logits.astype(np.float64)),
        decode=lambda rates, state: [int(rate) for rate in rates[:, 0]],  # the likeliest count
        metrics=count_metrics, primary="d2", higher_is_better=True, output_kind="number",
        natural=lambda target, state: target.astype(np.float64),
    )  # fmt: skip
    TASKS.add("count", task)
    TASK_CHOICES.add("count", TaskChoices(learn_fast))
    yield task
    for registry in (TASKS, TASK_CHOICES):
        registry._records.pop("count", None)


@pytest.fixture(scope="module")
def table() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    keys = [(("few", "many")[i // 2 % 2], i % 2) for i in range(160)]
    return {
        "text": [f"there are {word} of them in box {i}" for i, (word, _) in enumerate(keys)],
        "double": [float(twice) + 0.01 * (i % 5) for i, (_, twice) in enumerate(keys)],
        "birds": [int(rng.poisson(RATES[key])) for key in keys],
        "split": ["train" if i < 96 else "val" if i < 120 else "test" for i in range(160)],
    }


@pytest.fixture(scope="module")
def fitted(count_task: Task, table: dict[str, list[Any]]) -> plait.Plait:
    return plait.fit(table, "birds", task="count", text="text", numeric="double", split="split", set=SCRATCH)


def test_loss_and_metric_by_hand(count_task: Task) -> None:
    loss_B = count_task.loss(torch.tensor([[0.0], [math.log(4.0)]]), torch.tensor([0.0, 2.0]), None)
    assert loss_B.tolist() == pytest.approx([1.0, 4.0 - 2.0 * math.log(4.0)])
    perfect, mean = np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]])
    assert count_task.metrics(np.array([1.0, 3.0]), perfect)["d2"] == 1.0
    assert count_task.metrics(np.array([1.0, 3.0]), mean)["d2"] == pytest.approx(0.0)


def test_fit_learns_by_its_loss_its_metric_and_its_recipe(fitted: plait.Plait) -> None:
    report = fitted.report
    assert report["task"] == "count" and report["metric"] == {"name": "d2", "higher_is_better": True}
    assert fitted.settings.train.epochs == 20 and fitted.settings.task.name == "count"
    assert report["splits"] == {"train": 96, "val": 24, "test": 40}
    metrics = report["evaluation"]["metrics"]
    assert metrics["d2"]["value"] > 0.5 and metrics["d2"]["low"] < metrics["d2"]["value"] < metrics["d2"]["high"]
    alone = {name: entry["d2"]["value"] for name, entry in report["evaluation"]["alone"].items()}
    assert metrics["d2"]["value"] > alone["text"] > alone["tabular"]  # six times against twice
    assert report["evaluation"]["chance"] is None and report["evaluation"]["confusion"] is None


def test_predict_gives_whole_numbers_and_no_probabilities(fitted: plait.Plait, table: dict[str, list[Any]]) -> None:
    made = fitted.predict(table)
    assert made.column_names == ["row", "prediction", "problem"]
    counts = made.column("prediction").to_pylist()
    assert all(isinstance(count, int) for count in counts) and made.column("problem").null_count == len(counts)
    mean = {key: np.mean([c for i, c in enumerate(counts) if (i // 2 % 2, i % 2) == key]) for key in ((0, 0), (1, 1))}
    assert mean[1, 1] > 4 * mean[0, 0]
    with pytest.raises(ValueError, match="this model predicts a number, which has no probabilities"):
        fitted.predict_proba(table)


def test_evaluate_writes_its_report(fitted: plait.Plait, table: dict[str, list[Any]], tmp_path: Path) -> None:
    found = fitted.evaluate(table, report=tmp_path / "page.html")
    assert found["evaluation"]["split"] == "test"
    assert found["evaluation"]["metrics"] == fitted.report["evaluation"]["metrics"]
    truth = [table["birds"][i] for i in range(120, 160)]
    assert sorted(found["evaluation"]["scatter"]["truth"]) == sorted(truth)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "count of birds" in page and "d2" in page
    assert json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))["metric"]["name"] == "d2"
    broken = {**table, "birds": [*table["birds"][:-1], -1]}
    counted = fitted.evaluate(broken, rows="all")["evaluation"]
    assert counted["rows"] == 159 and "expected a whole number from 0, got -1" in counted["bad_rows"][0]["reason"]


def test_explain_shares_its_own_metric_out(fitted: plait.Plait, table: dict[str, list[Any]]) -> None:
    found = fitted.explain(table, permutations=2, examples=2)
    assert found["metric"]["name"] == "d2" and found["task"] == "count"
    full, empty = found["subsets"][-1]["metric"], found["subsets"][0]["metric"]
    assert full["value"] == pytest.approx(fitted.report["evaluation"]["metrics"]["d2"]["value"], abs=1e-6)
    shapley = {name: entry["value"] for name, entry in found["shapley"]["metric"].items()}
    assert sum(shapley.values()) == pytest.approx(full["value"] - empty["value"], abs=1e-9)
    assert shapley["text"] > 0 and shapley["tabular"] > 0  # which is larger hangs on the machine's arithmetic
    with pytest.raises(ValueError, match="of metric='mae' lower is better.*choose d2"):
        fitted.explain(table, metric="mae")


def test_class_weights_are_refused(count_task: Task, table: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="class weights need classes"):
        plait.fit(table, "birds", task="count", epochs=1, set=[*SCRATCH, "task.class_weights=true"])


def test_save_load_and_a_load_without_the_task(
    fitted: plait.Plait, table: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.save(tmp_path / "model")
    again = plait.load(tmp_path / "model")
    assert again.task is TASKS.get("count")
    assert again.predict(table).equals(fitted.predict(table))
    monkeypatch.delitem(TASKS._records, "count")
    with pytest.raises(ValueError, match=r"unknown task 'count'.*import the file that does so first"):
        plait.load(tmp_path / "model")
