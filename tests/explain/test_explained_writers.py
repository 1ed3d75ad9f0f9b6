"""Models that write text explained: planted modalities, the score by hand, the words of an answer, page and command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.planted_writing import COLOURS, writer_of
from plait.heads.language import fit_tokens
from plait.heads.language.words import words_of

open_evaluation = lazy("plait.api.evaluation", "open_evaluation")
reference_scores = lazy("plait.inference.generation", "reference_scores")
rows_of = lazy("plait.inputs.dataset", "RowBatches")
each_input_once, subject_that_writes = lazy("plait.explain.written", "each_input_once", "subject_that_writes")
FEW: dict[str, Any] = {"permutations": 3}


@pytest.fixture(scope="module")
def looking() -> tuple[plait.Plait, dict[str, list[Any]]]:
    """A writer whose answer the picture decides."""
    return writer_of("image")


@pytest.fixture(scope="module")
def listening() -> tuple[plait.Plait, dict[str, list[Any]]]:
    """A writer whose answer the question decides."""
    return writer_of("question")


@pytest.fixture(scope="module")
def found(listening: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model, table = listening
    page = tmp_path_factory.mktemp("written") / "why.html"
    return {**model.explain(table, rows=2, report=page, inputs={"grid": 2}, **FEW), "page": page}


def test_the_question_that_decides_has_the_whole_share(found: dict[str, Any]) -> None:
    shares = {name: entry["share"] for name, entry in found["shapley"]["metric"].items()}
    assert shares["question"] > 0.95 and found["shapley"]["metric"]["question"]["low"] > 0.1
    assert found["metric"]["name"] == "log-likelihood" and "nats" in found["metric"]["meaning"]
    assert found["emap"] is None and "no list of possible answers" in found["emap_not_applicable"]
    assert found["absence"]["name"] == "marginal" and any("no answer to nothing" in note for note in found["notes"])
    assert "nats a token" in found["verdict"] and found["interaction"]["metric"][0]["value"] is not None


def test_the_picture_that_decides_has_the_whole_share(looking: tuple[Any, Any]) -> None:
    model, table = looking
    found = model.explain(table, **FEW)
    shares = {name: entry["share"] for name, entry in found["shapley"]["metric"].items()}
    assert shares["image"] > 0.95 and found["shapley"]["metric"]["image"]["low"] > 0.05, found["verdict"]
    drop = {n: p["raw"]["value"] for n, p in found["perceptual"]["modalities"].items()}
    assert drop["image"] > 0.05 > abs(drop["question"])
    for row in found["examples"]:  # nothing is left over in a row
        assert sum(row["shapley"].values()) == pytest.approx(row["with everything"] - row["with nothing"], abs=1e-9)
        assert row["explained"] == "log-likelihood a token of the reference"


def test_the_score_is_the_likelihood_that_score_answers_gives(listening: tuple[Any, Any]) -> None:
    model, table = listening
    given = open_evaluation(model, table)
    subject = subject_that_writes(given)
    own = np.arange(len(subject))[:, None].repeat(2, axis=1)
    scores = subject.ask(own)[:, 0]
    answers = sorted(set(table["answer"]))
    whole = model.score_answers({k: v[42:] for k, v in table.items()}, answers).column("log_probabilities").to_pylist()
    lengths = [len(ids) for ids in model.labels.tokens.encode(answers)]
    for score, row, answer in zip(scores, whole, table["answer"][42:], strict=True):
        place = answers.index(answer)
        assert score == pytest.approx(row[place] / lengths[place], abs=1e-5)
    rows = rows_of(given.prepared.sources, given.prepared.rows.index_NM[given.positions])
    two = reference_scores(model.model, rows, model.labels.tokens, [[answers[0], answers[1]]] * len(rows), batch_size=5)
    expected = [(row[0] / lengths[0] + row[1] / lengths[1]) / 2 for row in whole]
    np.testing.assert_allclose(two, expected, atol=1e-5)  # of several references the mean
    with pytest.raises(AssertionError, match="references belong to rows"):
        subject.ask(own[:3])


def test_every_part_says_what_it_adds_to_each_written_word(found: dict[str, Any], listening: tuple[Any, Any]) -> None:
    model, table = listening
    for row in found["inputs"]["rows"]:
        logs = [w["log_probability"] for w in row["written"]]
        assert " ".join(w["word"] for w in row["written"][:-1]) == row["prediction"]
        tokens = model.labels.tokens.encode([row["prediction"]])[0]
        assert row["score"] == pytest.approx(sum(logs) / len(tokens), abs=1e-6)
        assert row["written"][-1]["word"] == "<end>" and row["probability"] is None
        for side in row["modalities"]:
            assert side["full"] == pytest.approx(row["score"], abs=1e-3)
            for part in side["parts"]:
                assert len(part["words"]) == len(logs)
                if side["method"] == "occlusion":  # the whole is the sum of the words, a token
                    assert part["value"] == pytest.approx(sum(part["words"]) / len(tokens), abs=1e-6)
        question = next(m for m in row["modalities"] if m["name"] == "question")
        strongest = max(question["parts"], key=lambda p: abs(p["value"]))
        assert strongest["text"] == table["question"][row["row"]].split()[0]  # where, when, who


def test_a_hidden_word_changes_what_score_answers_says(found: dict[str, Any], listening: tuple[Any, Any]) -> None:
    model, table = listening
    row = found["inputs"]["rows"][0]
    side = next(m for m in row["modalities"] if m["name"] == "question")
    rest = " ".join(table["question"][row["row"]].split()[1:])
    changed = {"image": [table["image"][row["row"]]], "question": [rest]}
    whole = model.score_answers(changed, [row["prediction"]]).column("log_probabilities").to_pylist()[0][0]
    logs = sum(w["log_probability"] for w in row["written"])
    assert sum(side["parts"][0]["words"]) == pytest.approx(logs - whole, abs=1e-4)


def test_the_page_draws_the_words(found: dict[str, Any]) -> None:
    page = found["page"].read_text("utf-8")
    assert "word by word of the answer" in page and "log-likelihood of the true answer" in page
    assert "mean log-likelihood a token of the reference answer" in page and "Not applicable: EMAP" in page
    assert "nats a token" in page and "<script" not in page
    numbers = json.loads(found["page"].with_suffix(".json").read_text("utf-8"))
    assert numbers["inputs"]["rows"][0]["written"] == found["inputs"]["rows"][0]["written"]


def test_captions_of_one_photo_are_one_row(looking: tuple[Any, Any]) -> None:
    model, table = looking
    doubled = {k: [v for v in table[k][42:] for _ in range(2)] for k in table}
    doubled["answer"] = [f"a {c} picture" for c in list(COLOURS) * 8]
    found = model.explain(doubled, rows=[3], **FEW, inputs={"grid": 2, "orders": 1})
    assert found["rows"] == 12 and any("24 rows show 12 different inputs" in note for note in found["notes"])
    assert [r["row"] for r in found["inputs"]["rows"]] == [2]  # row 3 shows what row 2 shows
    assert found["inputs"]["rows"][0]["truth"] == "a blue picture | a red picture"
    once, stands_for = each_input_once(open_evaluation(model, doubled))
    assert [len(v) for v in once.values] == [2] * 12 and stands_for[3] == 2 == stands_for[2]


def test_what_does_not_fit_is_said(listening: tuple[Any, Any]) -> None:
    model, table = listening
    with pytest.raises(ValueError, match="method='gradients' follows the scores of labels.*method='occlusion'"):
        model.explain(table, rows=1, inputs={"method": "gradients"})
    with pytest.raises(ValueError, match="explain_class is 'yes', and this model writes text"):
        model.explain(table, rows=1, inputs={"explain_class": "yes"})
    with pytest.raises(ValueError, match="unknown metric 'accuracy'.*log-likelihood"):
        model.explain(table, metric="accuracy")


def test_the_command_says_the_score_and_the_words(run: Any, listening: tuple[Any, Any], tmp_path: Path) -> None:
    model, table = listening
    model.save(tmp_path / "model")
    for i, data in enumerate(table["image"]):
        (tmp_path / f"{i}.png").write_bytes(data)
    with (tmp_path / "asked.csv").open("w", newline="", encoding="utf-8") as out:
        rows = zip([f"{i}.png" for i in range(54)], table["question"], table["answer"], table["split"], strict=True)
        csv.writer(out).writerows([["image", "question", "answer", "split"], *rows])
    code, out, err = run("explain", tmp_path / "model", tmp_path / "asked.csv", "--rows", "1", "--quiet")
    assert code == 0, err
    assert "score: mean log-likelihood a token of the reference answer, in nats" in out
    assert "EMAP: not applicable" in out and "written: " in out and "<end>" in out and "(marginal)" in out


def test_words_of_tokens() -> None:
    texts = ["two dogs run on the grass", "\u4e00\u53ea\u72d7\u5728\u8349\u5730", "a \U0001f415 barks"]
    tokens = fit_tokens(texts * 3, vocabulary=300)
    for text, expected in (
        (texts[0], texts[0].split()), (texts[1], list(texts[1])), (texts[2], ["a", "\U0001f415", "barks"]),
    ):  # fmt: skip
        ids = tokens.encode([text])[0]
        words, word_T = words_of(tokens, ids)
        assert words == [*expected, "<end>"] and len(word_T) == len(ids)
        assert word_T.tolist() == sorted(word_T.tolist()) and set(word_T.tolist()) == set(range(len(words)))
