"""Results told apart by the values of a column: chosen columns, VQA's kinds of answers, written text."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plait
from fixtures.settings import QUICK, SCRATCH

TINY = [
    *QUICK, "fusion.width=16", "train.epochs=2", "language.layers=1", "language.width=16",
    "language.heads=2", "language.vocabulary=300", "language.max_tokens=6",
]  # fmt: skip


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    folder = tmp_path_factory.mktemp("asked")
    for i in range(24):
        Image.new("RGB", (32, 32), (10 * i, 90, 200 - 8 * i)).save(folder / f"{i}.png")
    kinds = ["number", "yes/no", "yes/no"] * 8
    said = [["2"] * 10 if k == "number" else ["yes"] * 7 + ["no"] * 3 for k in kinds]
    return {
        "image": [str(folder / f"{i}.png") for i in range(24)], "question": [f"what is it in {k}" for k in kinds],
        "answers": said, "answer_type": kinds, "split": ["train"] * 12 + ["val"] * 3 + ["test"] * 9,
    }  # fmt: skip


@pytest.mark.parametrize("answers", ["closed", "open"])
def test_kinds_of_answers_are_told_apart(questions: dict[str, list[object]], answers: str) -> None:
    fitted = plait.fit(
        questions, "answers", task="vqa", text="question", image="image", split="split",
        allow_outside=True, set=[*TINY, f"task.answers={answers}"],
    )  # fmt: skip
    evaluation = fitted.report["evaluation"]
    by = {s["value"]: s for s in evaluation["slices"] if s["column"] == "answer_type"}
    assert {k: s["rows"] for k, s in by.items()} == {"number": 3, "yes/no": 6}
    rows = {k: [i for i in range(15, 24) if questions["answer_type"][i] == k] for k in by}
    guesses = (
        fitted.predict({k: questions[k] for k in ("image", "question")}, allow_outside=True)
        .column("prediction")
        .to_pylist()
    )
    for kind, places in rows.items():
        right = [guesses[i] == ("2" if kind == "number" else "yes") for i in places]
        assert by[kind]["metrics"]["accuracy"] == pytest.approx(np.mean(right))
        worth = {"2": 1.0} if kind == "number" else {"yes": 1.0, "no": 0.9}
        agreed = [worth.get(guesses[i], 0.0) for i in places]
        assert by[kind]["metrics"]["vqa_accuracy"] == pytest.approx(np.mean(agreed), abs=1e-9)
    weighed = sum(s["rows"] * s["metrics"]["vqa_accuracy"] for s in by.values()) / 9
    assert evaluation["metrics"]["vqa_accuracy"]["value"] == pytest.approx(weighed)


def table_of(path: Path) -> dict[str, list[object]]:
    """A CSV as columns, pictures by their whole path."""
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    columns: dict[str, list[object]] = {k: [r[k] for r in rows] for k in rows[0]}
    return {**columns, "image": [str(path.parent / str(v)) for v in columns["image"]]}


def test_rows_with_one_answer_are_told_apart_without_agreement(questions: dict[str, list[object]]) -> None:
    mixed = [a[:1] if i == 23 else a for i, a in enumerate(questions["answers"])]  # one person answered the last one
    fitted = plait.fit(
        {**questions, "answers": mixed},
        "answers",
        task="vqa",
        split="split",
        allow_outside=True,
        set=[*TINY, "task.answers=closed"],
    )
    assert [m.name for m in fitted.schema.modalities] == ["image", "question"]  # kinds of answers are no inputs
    evaluation = fitted.report["evaluation"]
    assert "vqa_accuracy" not in evaluation["metrics"]
    assert all("vqa_accuracy" not in s["metrics"] for s in evaluation["slices"])


def test_chosen_columns_and_unknown_ones(posts: Path) -> None:
    small = [*SCRATCH, "train.epochs=1"]
    fitted = plait.fit(posts, "label", ignore="size", set=[*small, "judge.by=[size]"])
    sliced = [s for s in fitted.report["evaluation"]["slices"] if s["column"] == "size"]
    assert sum(s["rows"] for s in sliced) == 8
    judged = fitted.evaluate({k: v for k, v in table_of(posts).items() if k != "size"}, allow_outside=True)[
        "evaluation"
    ]
    assert any(n.startswith("judge.by: ") and n.endswith("has no column 'size'") for n in judged["notes"])
    with pytest.raises(ValueError, match="retrieval is judged as one whole; leave judge.by out"):
        plait.fit(posts, task="retrieval", text="text", image="image", set=[*small, "judge.by=size"])
    with pytest.raises(ValueError, match=r"unknown column in judge.by 'sise'. Did you mean 'size'"):
        plait.fit(posts, "label", set=[*small, "judge.by=[sise]"])
