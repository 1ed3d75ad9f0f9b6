"""Ordered classes from the name to the report: order, loss, run, saved model; and the sentiment recipe."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import plait
from plait.tasks import TASKS, ordinal_task
from plait.tasks.order import class_order
from plait.tasks.ordinal import ordinal_loss

QUICK = ["encoders.text=scratch:text", "train.threads=1", "train.epochs=2", "train.baselines=false"]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["positive", "negative", "neutral"], ["negative", "neutral", "positive"]),
        (["10", "9", "1"], ["1", "9", "10"]),
        (["5 stars", "1 star"], ["1 star", "5 stars"]),
        (["Very_Good", "bad", "OK"], ["bad", "OK", "Very_Good"]),
        (["true", "pants-fire", "half-true"], ["pants-fire", "half-true", "true"]),
        (["\u6b63\u9762", "\u8d1f\u9762", "\u4e2d\u6027"], ["\u8d1f\u9762", "\u4e2d\u6027", "\u6b63\u9762"]),
    ],
)
def test_order_is_told_from_names(names: list[str], order: list[str]) -> None:
    assert list(class_order(names)) == order


def test_order_that_cannot_be_told() -> None:
    with pytest.raises(ValueError, match=r"task.order=\[lowest, ..., highest\]"):
        class_order(["red", "blue"])
    with pytest.raises(ValueError, match="cannot be told"):
        class_order(["neutral", "mixed"])  # one rank, two names
    assert class_order(["b", "a"], ["c", "b", "a"]) == ("b", "a")
    with pytest.raises(ValueError, match="task.order lacks a class of the target: unknown class 'b'"):
        class_order(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="names a class twice"):
        class_order(["a"], ["a", "a"])


def test_loss_by_hand() -> None:
    # Even odds over three classes, truth the lowest: P = 1/3, 2/3, 1 and T = 1, 1, 1, so (2/3)^2 + (1/3)^2 = 5/9;
    # truth in the middle: T = 0, 1, 1, so 1/9 + 1/9 = 2/9. Cross-entropy is ln 3 both times.
    losses = ordinal_loss(torch.zeros(2, 3), torch.tensor([0, 1]), None)
    assert losses.tolist() == pytest.approx([np.log(3) + 5 / 9, np.log(3) + 2 / 9], abs=1e-6)
    weighed = ordinal_loss(torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([2.0, 0.5, 1.0]))
    assert weighed.tolist() == pytest.approx([2 * losses[0].item(), losses[1].item() / 2])
    near = ordinal_loss(torch.tensor([[0.0, 5.0, 0.0]]), torch.tensor([0]), None)
    far = ordinal_loss(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([0]), None)
    assert far.item() > near.item() + 0.5  # the same probability of the truth, a rank further off


def test_the_record_is_classification_with_another_loss() -> None:
    task = ordinal_task(["low", "high"])
    assert (task.name, task.record, TASKS.get("classification").record) == (
        "classification",
        "ordinal",
        "classification",
    )
    assert task.fit(["high", "low"]).classes == ("low", "high")


@pytest.fixture(scope="module")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts of three moods, the rare one 1 in 10."""
    path = tmp_path_factory.mktemp("moods") / "moods.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "mood", "split"])
        for i in range(100):
            mood = "negative" if i % 10 == 0 else ("neutral", "positive")[i % 2]
            word = {"negative": "#BadDay", "neutral": "a desk", "positive": "#GoodDay \U0001f600"}[mood]
            writer.writerow([f"@anna{i} {word} number {i} here", mood, ("train", "val", "test")[max(0, i // 20 - 2)]])
    return path


def test_a_sentiment_run_says_what_it_did(moods: Path, tmp_path: Path) -> None:
    fitted = plait.fit(
        moods,
        "mood",
        recipe="sentiment",
        output=tmp_path / "model",
        set=["task.ordinal=true", *QUICK, "data.text=[text]"],
    )
    assert fitted.labels.classes == ("negative", "neutral", "positive")
    evaluation = fitted.report["evaluation"]
    assert {"rank_mae", "quadratic_kappa", "accuracy", "f1_macro"} <= set(evaluation["metrics"])
    assert [row["label"] for row in evaluation["per_class"]] == ["negative", "neutral", "positive"]
    assert sum(row["support"] for row in evaluation["per_class"]) == evaluation["rows"]
    cleaned = evaluation["cleaned"][0]
    assert (cleaned["cleaning"], cleaned["rows"]) == ("social", evaluation["rows"])
    first = cleaned["examples"][0]
    assert first["before"].startswith("@anna") and first["after"].startswith("@user") and "#" not in first["after"]
    assert evaluation["counts"]["text: user names (social cleaning)"] == 100
    written = yaml.safe_load((tmp_path / "model" / "run.yaml").read_text("utf-8"))
    assert written["encoders"]["text_cleaning"] == "social" and written["task"]["ordinal"] is True
    assert written["task"]["class_weights"] is True and written["task"]["select_by"] == "f1_macro"
    saved = [json.loads(p.read_text("utf-8")) for p in (tmp_path / "model").rglob("processor.json")]
    assert any(s.get("cleaning") == "social" for s in saved)
    page = (tmp_path / "model" / "report.html").read_text("utf-8")
    assert "Class by class" in page and "Texts before and after cleaning" in page and "good day :grinning face:" in page
    again = plait.load(tmp_path / "model")
    assert again.task.record == "ordinal"
    mine, theirs = fitted.predict_proba(moods), again.predict_proba(moods)
    assert np.array_equal(mine, theirs)
    balance = fitted.model.config.class_weights
    assert balance is not None and balance[0] > 3 * balance[1]


def test_task_ordinal_is_the_same_by_either_name(moods: Path) -> None:
    order = ("positive", "neutral", "negative")
    fitted = plait.fit(moods, "mood", task="ordinal", set=[f"task.order=[{', '.join(order)}]", *QUICK])
    assert (fitted.settings.task.name, fitted.settings.task.ordinal) == ("classification", True)
    assert fitted.labels.classes == order
    assert "cleaned" not in fitted.report["evaluation"]  # nothing is cleaned unless asked for


def test_ordered_classes_where_there_are_none(tmp_path: Path) -> None:
    rows = {"text": [f"a text number {i}" for i in range(40)], "price": [i * 1.5 for i in range(40)]}
    with pytest.raises(ValueError, match="task.ordinal is for classification; the task is regression"):
        plait.fit(rows, "price", set=["task.ordinal=true", *QUICK])
    with pytest.raises(ValueError, match="task.order is for ordered classes"):
        plait.fit(rows, "price", set=["task.order=[a, b]", *QUICK])
    with pytest.raises(ValueError, match="encoders.text_cleaning"):
        plait.fit(rows, "price", set=["encoders.text_cleaning=twitter", *QUICK])
