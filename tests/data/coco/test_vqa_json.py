"""The official VQA v2 files: layout, order, and what is refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from plait.data.coco.vqa_json import is_vqa_folder, read_vqa_folder
from plait.data.sources import open_source
from plait.settings import DataSettings


def question(number: int, image: int, text: str) -> dict[str, Any]:
    return {"question_id": number, "image_id": image, "question": text}


def annotation(number: int, image: int, answers: list[str]) -> dict[str, Any]:
    people = [{"answer": a, "answer_confidence": "yes", "answer_id": i + 1} for i, a in enumerate(answers)]
    return {
        "question_id": number, "image_id": image, "question_type": "what", "answer_type": "other",
        "multiple_choice_answer": answers[0], "answers": people,
    }  # fmt: skip


def write(folder: Path, subset: str, questions: list[dict[str, Any]], annotations: list[dict[str, Any]] | None) -> None:
    head = {"data_type": "mscoco", "data_subtype": subset, "license": {}, "info": {}}
    asked = {**head, "task_type": "Open-Ended", "questions": questions}
    (folder / f"v2_OpenEnded_mscoco_{subset}_questions.json").write_text(json.dumps(asked), encoding="utf-8")
    if annotations is not None:
        said = {**head, "annotations": annotations}
        (folder / f"v2_mscoco_{subset}_annotations.json").write_text(json.dumps(said), encoding="utf-8")


@pytest.fixture
def official(tmp_path: Path) -> Path:
    write(
        tmp_path, "train2014", [question(9000, 9, "What is it?"), question(9001, 9, "How many?")],
        [annotation(9001, 9, ["2"] * 10), annotation(9000, 9, ["dog"] * 7 + ["puppy"] * 3)],
    )  # fmt: skip
    write(tmp_path, "val2014", [question(42000, 42, "Is it day?")], [annotation(42000, 42, ["yes"] * 10)])
    write(tmp_path, "test-dev2015", [question(1, 7, "Why?")], None)
    for folder, name in (("train2014", "COCO_train2014_000000000009"), ("val2014", "COCO_val2014_000000000042")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.jpg").write_bytes(b"")
    return tmp_path


def test_official_files_become_one_table(official: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table = read_vqa_folder(official)
    assert is_vqa_folder(official) and not is_vqa_folder(official / "train2014")
    assert table.column("image") == ["train2014/COCO_train2014_000000000009.jpg"] * 2 + [
        "val2014/COCO_val2014_000000000042.jpg"
    ]
    assert table.column("answers")[0] == ["dog"] * 7 + ["puppy"] * 3  # by question_id, not by place
    assert table.column("question") == ["What is it?", "How many?", "Is it day?"]
    assert table.column("split") == ["train", "train", "val"]
    assert "1 of 3 question files have no annotations" in caplog.text


def test_a_folder_opens_as_vqa(official: Path) -> None:
    opened = open_source(official, DataSettings(), task="vqa")
    assert (opened.data.target, opened.data.group, opened.data.id) == ("answers", "image_id", "question_id")
    assert set(opened.table.column("split")) <= {"train", "val", "test"} and opened.task == "vqa"
    with pytest.raises(ValueError, match="can be opened for the task vqa, got 'matching'"):
        open_source(official, DataSettings(), task="matching")
    with pytest.raises(ValueError, match="format='vqa' needs a folder"):
        open_source(official / "nothing.json", DataSettings(format="vqa"))


def test_missing_photos_are_told(official: Path, caplog: pytest.LogCaptureFixture) -> None:
    (official / "val2014" / "COCO_val2014_000000000042.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(read_vqa_folder(official)) == 3
    assert "1 photos are not in" in caplog.text and "COCO_val2014_000000000042.jpg" in caplog.text


@pytest.mark.parametrize(
    ("questions", "annotations", "message"),
    [
        ([], [], "holds no questions"),
        ([question(1, 2, "a"), question(1, 2, "b")], [annotation(1, 2, ["x"])], "stand there more than once"),
        ([question(1, 2, "a"), question(3, 2, "b")], [annotation(1, 2, ["x"])], "1 questions have no annotation"),
        ([question(1, 2, "a")], [annotation(1, 2, ["x"]), annotation(5, 2, ["x"])], "1 annotations no question"),
        ([question(1, 2, "a")], [{**annotation(1, 2, ["x"]), "answers": []}], "empty list 'answers'"),
        ([{**question(1, 2, "a"), "image_id": "../x"}], [annotation(1, 2, ["x"])], "expected a whole number"),
    ],
)
def test_faults_are_refused(
    questions: list[dict[str, Any]], annotations: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    write(tmp_path, "train2014", questions, annotations)
    with pytest.raises(ValueError, match=message):
        read_vqa_folder(tmp_path)


def test_no_questions_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no VQA questions"):
        read_vqa_folder(tmp_path)
