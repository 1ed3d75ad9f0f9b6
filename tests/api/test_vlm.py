"""``plait.vlm``: a ready vision-language model asked, classifying by scores, saved, judged; and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.media import encoded
from fixtures.tiny_vlm import pictures, save_tiny
from plait.weights.quiet import quiet_transformers

hf = lazy("transformers")
CLASSES = ["red", "blue square", "dog"]


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llava", tmp_path_factory.mktemp("llava"))


def rows(count: int = 6) -> list[dict[str, object]]:
    cells = [encoded(picture) for picture in pictures()]
    return [
        {"image": cells[i % 3], "question": ["what colour?", "a dog?"][i % 2], "answer": CLASSES[i % 2], "label": "red"}
        for i in range(count)
    ]


def test_class_probabilities_are_the_softmax_of_mean_log_probabilities(llava: Path) -> None:
    """A loop over transformers alone, one row and one class at a time, nothing padded."""
    asked = "Which is it?"
    with quiet_transformers():
        model = hf.AutoModelForImageTextToText.from_pretrained(llava).eval()
        processor = hf.AutoProcessor.from_pretrained(llava)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked}]}
    text = processor.apply_chat_template([turn], add_generation_prompt=True)
    sums, means = np.zeros((3, 3)), np.zeros((3, 3))
    for r, picture in enumerate(pictures()):
        start = processor(images=[picture], text=[text], return_tensors="pt")["input_ids"].shape[1]
        for c, name in enumerate(CLASSES):
            inputs = processor(images=[picture], text=[f"{text} {name}"], return_tensors="pt")
            with torch.inference_mode():
                logs = torch.log_softmax(model(**inputs).logits[0].double(), 1)
            ids = inputs["input_ids"][0]
            found = [float(logs[place - 1, ids[place]]) for place in range(start, len(ids))]
            sums[r, c], means[r, c] = sum(found), np.mean(found)
    cells = [{"image": encoded(picture)} for picture in pictures()]
    for score, wanted in (("mean", means), ("sum", sums)):
        made = plait.vlm(f"hf:{llava}", prompt=asked, classes=CLASSES, score=score)
        table = made.predict(cells)
        ours = np.stack([table[f"probability_{name}"].to_numpy() for name in CLASSES], axis=1)
        np.testing.assert_allclose(ours, torch.softmax(torch.from_numpy(wanted), 1).numpy(), atol=1e-5)
        assert table["prediction"].to_pylist() == [CLASSES[i] for i in wanted.argmax(1)]
        scored = made.score_answers(cells, CLASSES)["log_probabilities"].to_pylist()
        np.testing.assert_allclose(scored, wanted, atol=1e-4)


def test_a_saved_one_answers_the_same_and_a_checkpoint_opens_by_itself(llava: Path, tmp_path: Path) -> None:
    made = plait.vlm(f"hf:{llava}", max_tokens=5, output=tmp_path / "vlm")
    wanted = made.generate(rows(), tokens=True)
    assert plait.load(tmp_path / "vlm").generate(rows(), tokens=True).equals(wanted)
    for name in (llava, str(llava), f"hf:{llava}"):
        assert plait.load(name).generate(rows(), max_new_tokens=5, tokens=True).equals(wanted)
    assert sorted(path.name for path in (tmp_path / "vlm").iterdir()) == ["vlm.json"]
    first = wanted.to_pylist()[0]
    assert np.exp(first["log_probability"] / len(first["tokens"])) == pytest.approx(first["probability"])
    assert made.predict(rows()).column_names == ["row", "prediction", "log_probability", "probability", "problem"]
    assert plait.load(tmp_path / "vlm").predict(rows())["prediction"].equals(wanted["prediction"])


def test_model_and_checkpoint_move_together_and_another_checkpoint_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    save_tiny("llava", tmp_path / "a" / "llava")
    monkeypatch.chdir(tmp_path / "a")
    plait.vlm("hf:./llava", output="vlm")
    monkeypatch.chdir(tmp_path)
    shutil.move("a", "b")
    assert plait.load("b/vlm").chosen.reference == f"hf:{os.path.join('b', 'llava')}"
    save_tiny("llava", tmp_path / "b" / "llava", seed=1)
    with pytest.raises(ValueError, match="is not the one that .* was made of"):
        plait.load("b/vlm")
    (tmp_path / "b" / "vlm" / "vlm.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged; make the folder again"):
        plait.load("b/vlm")


def test_rows_that_cannot_be_asked_say_why(llava: Path, tmp_path: Path) -> None:
    given = rows(5)
    given[1]["image"], given[2]["image"], given[3]["question"], given[4]["question"] = b"x", None, " ", "a <image>?"
    made = plait.vlm(f"hf:{llava}", max_tokens=3)
    table = made.predict(given)
    problems = table["problem"].to_pylist()
    assert [p is None for p in table["prediction"].to_pylist()] == [False, True, True, True, True]
    assert problems[0] is None and problems[1].startswith("image: not an image")
    assert problems[2:] == [
        "image: the cell is empty", "question: the cell is empty",
        "question: holds '<image>', a control token of this model, so it cannot be asked",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"2 of 5 rows of .* cannot be read"):
        made.evaluate(given)
    found = made.evaluate(given, on_bad_row="skip")["evaluation"]
    assert found["rows"] == 1 and [b["row"] for b in found["bad_rows"]] == [1, 4]


def test_pieces_of_a_table_are_the_whole(llava: Path) -> None:
    made = plait.vlm(f"hf:{llava}", classes=CLASSES)
    whole = made.predict(rows(7))
    pieces = pa.concat_tables(made.predict_chunks(rows(7), chunk_rows=3))
    assert pieces["row"].to_pylist() == list(range(7)) and pieces["prediction"].equals(whole["prediction"])
    np.testing.assert_allclose(pieces["probability"].to_numpy(), whole["probability"].to_numpy(), atol=1e-6)


def test_open_answers_are_judged_as_those_of_our_own_models(llava: Path, tmp_path: Path) -> None:
    from plait.evaluation.texts import measured

    made = plait.vlm(f"hf:{llava}", max_tokens=3)
    texts = made.generate(rows())["prediction"].to_pylist()
    given = [{**row, "answer": text if i < 4 else "x"} for i, (row, text) in enumerate(zip(rows(), texts, strict=True))]
    found = made.evaluate(given, report=tmp_path / "r.html", lang="zh")
    own = measured("accuracy", texts, [[str(row["answer"])] for row in given], 0, None)[0]
    assert found["task"] == "vqa_open" and found["metric"]["name"] == "accuracy"
    assert found["evaluation"]["metrics"]["accuracy"]["value"] == own["accuracy"]["value"] == pytest.approx(4 / 6)
    assert set(found["evaluation"]["replaced"]) == {"another row's picture", "a grey picture", "no question"}
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "模型" in page and "换成灰色图片" in page
    assert json.loads((tmp_path / "r.json").read_text())["evaluation"]["replaced"].keys()
    assert len(found.frame())


def test_captions_and_several_references_in_a_cell_or_in_rows(llava: Path) -> None:
    made = plait.vlm(f"hf:{llava}", max_tokens=3)
    cells = [encoded(picture) for picture in pictures()]
    given = [{"image": cells[i % 3], "caption": ["a red circle", "two dogs"][i // 3]} for i in range(6)]
    found = made.evaluate(given)
    assert found["task"] == "captioning" and found["metric"]["name"] == "cider_d" and found["target"] == "caption"
    assert found["evaluation"]["rows"] == 3
    assert "6 rows show 3 different inputs; each was judged once, with all answers" in found["evaluation"]["notes"]


def test_classes_are_judged_and_unknown_ones_always_wrong(llava: Path) -> None:
    made = plait.vlm(f"hf:{llava}", classes=CLASSES, target="answer")
    given = [*rows(6), {**rows(1)[0], "answer": "cat"}]
    guesses = made.predict(given)["prediction"].to_pylist()
    found = made.evaluate(given)
    right = np.mean([g == row["answer"] for g, row in zip(guesses, given, strict=True)])
    assert found["task"] == "classification"
    assert found["evaluation"]["metrics"]["accuracy"]["value"] == pytest.approx(right)
    assert np.sum(found["evaluation"]["confusion"]["matrix"]) == 6
    assert any("of a class that is not among the 3 given" in note for note in found["evaluation"]["notes"])
    with pytest.raises(ValueError, match="none of the true answers is one of the classes"):
        made.evaluate([{**row, "answer": "cat"} for row in given])


def test_prompts_hold_the_question(llava: Path) -> None:
    cell = {"image": rows()[0]["image"], "question": "a dog?"}
    bare = plait.vlm(f"hf:{llava}", max_tokens=4)
    worded = plait.vlm(f"hf:{llava}", prompt="answer en {question}", max_tokens=4)
    wanted = bare.generate([{**cell, "question": "answer en a dog?"}], tokens=True)
    assert worded.generate([cell], tokens=True).equals(wanted)
    assert bare.asking.text(None) == "Describe the picture in one sentence."
    chosen = plait.vlm(f"hf:{llava}", classes=CLASSES)
    assert chosen.asking.text(None) == "Which of these is it: red, blue square or dog?"
    with pytest.raises(ValueError, match="asks 'Describe it' of every picture"):
        plait.vlm(f"hf:{llava}", prompt="Describe it").check_asks()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a"]}, "expected two or more different names"),
        ({"classes": "ab"}, "expected a list, such as"),
        ({"score": "max"}, "expected 'mean'"),
        ({"max_tokens": 0}, "max_tokens must be a whole number"),
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": "x", "question": "q"}, "has no {question}"),
        ({"image": "a", "question": "a"}, "must be different columns"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plait.vlm("hf:nowhere", **options)  # type: ignore[arg-type]


def test_places_and_columns_that_do_not_fit_are_named(llava: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds other files \(x.txt\)"):
        plait.vlm(f"hf:{llava}", output=tmp_path / "full")
    made = plait.vlm(f"hf:{llava}", output=tmp_path / "m", question="q")
    with pytest.raises(ValueError, match="holds a model already; type overwrite=True"):
        made.save(tmp_path / "m")
    with pytest.raises(ValueError, match="column of questions 'q'"):
        made.predict(rows())
    with pytest.raises(ValueError, match="column of pictures 'image'"):
        made.predict([{"photo": rows()[0]["image"], "q": "x"}])
    with pytest.raises(ValueError, match="column of true answers 'answer'"):
        made.evaluate([{"image": rows()[0]["image"], "q": "x"}])
    with pytest.raises(ValueError, match="coverage=0.9 is for models that plait.fit trained"):
        made.predict_chunks(rows(), coverage=0.9)
    with pytest.raises(ValueError, match="takes fit, generate, score_answers, predict and evaluate only"):
        made.explain(rows())
    with pytest.raises(ValueError, match="is a ready vision-language model; plait.load opens it"):
        plait.Plait.load(tmp_path / "m")
    with pytest.raises(ValueError, match="an index needs a retrieval model"):
        plait.build_index(tmp_path / "m", tmp_path, tmp_path / "i")
