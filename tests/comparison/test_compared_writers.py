"""Fusions compared for models that write: who can be used, what is measured, and that the chosen one can be trained."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.planted_writing import TINY, asked_pictures
from plait.metrics.cider import cider_d

choose_methods = lazy("plait.comparison.plan", "choose_methods")
judged_rows, score_texts = lazy("plait.comparison.judging", "judged_rows", "score_texts")
SETS = [s for s in TINY if not s.startswith(("fusion.dropout", "fusion.width"))]


@pytest.fixture(scope="module")
def table() -> dict[str, list[Any]]:
    """The question decides; of every third test row there is a second one with another answer."""
    made = asked_pictures("question")
    for name, cells in made.items():
        cells += ["in the south" if name == "answer" else cells[i] for i in range(42, 54, 3)]
    return made


@pytest.fixture(scope="module")
def compared(table: dict[str, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("compared") / "out"
    found = plait.compare(
        table, "answer", task="vqa", split="split", text="question", image="image", fusion="prefix,concat,late_mean",
        seeds=2, search=1, epochs=8, output=folder, set=[*SETS, "fusion.width=32", "fusion.dropout=0.0"], workers=1,
    )  # fmt: skip
    return found, folder


def test_what_can_write_is_ranked_and_the_rest_is_listed(compared: tuple[Any, Path]) -> None:
    found, folder = compared
    assert found.report["metric"] == {"name": "accuracy", "higher_is_better": True} and found.report["chance"] is None
    by_name = {m["name"]: m for m in found.report["methods"]}
    late = by_name.pop("late_mean")
    assert late["status"] == "not applicable" and "joins answers, and text is generated" in late["reason"]
    assert set(by_name) == {"prefix", "concat", "image alone", "question alone"}  # texts have no mean
    for method in by_name.values():
        assert method["status"] == "ok" and method["head"] == "generate" and method["seeds"] == [0, 1], method["reason"]
        score = method["metric"]
        assert score["value"] == pytest.approx(np.mean(score["seeds"])) and score["low"] <= score["value"]
        assert set(method["metrics"]) == {"accuracy", "token_f1"} and method["cost"]["inference_ms_per_1000"] > 0
    assert by_name["question alone"]["fusion"] == "prefix" == by_name["image alone"]["fusion"]
    assert by_name["question alone"]["metric"]["value"] > by_name["image alone"]["metric"]["value"] + 0.3
    gap = {(d["a"], d["b"]): d for d in found.report["differences"]}
    assert len(gap) == 6 and all(d["low"] is not None for d in gap.values())
    assert found.report["bootstrap"]["rows"] == 12  # 16 test rows show 12 inputs
    assert any("16 test rows show 12 different inputs" in note for note in found.report["notes"])
    page = (folder / "compare.html").read_text("utf-8")
    assert "late_mean" in page and "not applicable" in page and "<script" not in page


def test_the_selected_one_is_trained_as_it_was(compared: tuple[Any, Path], table: dict[str, list[Any]]) -> None:
    found, _ = compared
    fit = found.report["selected_fit"]
    assert "--set" in shlex.split(fit["command"]) and "language.layers=1" in fit["options"]["set"]
    model = plait.fit(table, **fit["options"], preset="single")
    entry = found.method(found.selected)
    assert model.settings.fusion.name == entry["fusion"]
    measured = model.evaluate(table)["evaluation"]
    assert measured["rows"] == 12
    assert measured["metrics"]["accuracy"]["value"] == pytest.approx(entry["metric"]["seeds"][0], abs=1e-9)


def test_a_comparison_goes_on_where_it_stopped(compared: tuple[Any, Path], table: dict[str, list[Any]]) -> None:
    found, folder = compared
    again = plait.compare(
        table, "answer", task="vqa", split="split", text="question", image="image", fusion="prefix,concat,late_mean",
        seeds=2, search=1, epochs=8, output=folder, set=[*SETS, "fusion.width=32", "fusion.dropout=0.0"], workers=1,
        resume=True,
    )  # fmt: skip
    assert again.report["runs"]["trained"] == 0
    assert [m.get("metric") for m in again.report["methods"]] == [m.get("metric") for m in found.report["methods"]]
    json.dumps(again.report, allow_nan=False)


def test_one_modality_is_enough_to_caption(pictures_of_one: dict[str, list[Any]]) -> None:
    found = plait.compare(
        pictures_of_one, "caption", task="captioning", split="split", image="image", fusion="prefix,concat", seeds=1,
        search=1, epochs=1, set=[*[s for s in SETS if "answers" not in s], "fusion.width=32"], workers=1,
    )  # fmt: skip
    assert found.report["metric"]["name"] == "cider_d"
    names = {m["name"] for m in found.report["methods"]}
    assert names == {"prefix", "concat"} and found.report["baselines"] == {"single": None, "ensemble": None}


@pytest.fixture
def pictures_of_one() -> dict[str, list[Any]]:
    table = asked_pictures("image", 36)
    return {"image": table["image"], "caption": table["answer"], "split": table["split"]}


def test_cider_of_rows_has_the_frequencies_of_all_test_rows() -> None:
    from plait.evaluation.texts import row_scores

    guesses, truths = ["a red car", "a dog"], [["a red car", "one car"], ["a dog runs"]]
    found = row_scores("cider_d", guesses, truths)
    expected = cider_d([g.split() for g in guesses], [[t.split() for t in row] for row in truths])
    np.testing.assert_allclose(found["cider_d"], expected)


def test_training_aids_and_late_words_are_refused() -> None:
    methods = choose_methods("captioning", ["image"], "all")
    assert {m.head for m in methods} == {"generate"} and not [m for m in methods if m.kind == "single"]
    with pytest.raises(ValueError, match=r"training aids work on labels and numbers, not on text.*objectives="):
        choose_methods("vqa_open", ["image", "question"], "prefix", "ogm")
    with pytest.raises(ValueError, match="at least two modalities"):
        choose_methods("classification", ["image"], "all")
