"""Rows of fitted models explained down to their parts: networks and ensembles, every kind, the page and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK

split_and_rows = lazy("plait.api.explanation", "split_and_rows")
FEW: dict[str, Any] = {"permutations": 0, "emap_evaluations": 0}


@pytest.fixture(scope="module")
def model(posts_model: Path) -> plait.Plait:
    return plait.load(posts_model)


@pytest.fixture(scope="module")
def network(model: plait.Plait) -> plait.Plait:
    """The network alone, whatever the preset chose to answer."""
    return plait.Plait(**{**vars(model), "ensemble": None})


@pytest.fixture(scope="module")
def found(posts: Path, network: plait.Plait, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    page = tmp_path_factory.mktemp("inside") / "why.html"
    found = network.explain(posts, rows=2, report=page, inputs={"grid": 3}, **FEW)
    return {**found, "page": page}


def sides(found: dict[str, Any], row: int = 0) -> dict[str, Any]:
    return {m["name"]: m for m in found["inputs"]["rows"][row]["modalities"]}


def test_scores_of_parts_start_at_the_answer(found: dict[str, Any], network: plait.Plait, posts: Path) -> None:
    proba = network.predict_proba(posts)
    for number, row in enumerate(found["inputs"]["rows"]):
        assert row["row"] == 40 + number  # the first of the test rows
        assert row["probability"] == pytest.approx(proba[row["row"]].max(), abs=1e-5)
        for side in row["modalities"]:
            assert side["full"] == pytest.approx(row["score"], abs=2e-3)  # pictures go through BMP, texts anew
            assert side["shapley"] == found["examples"][number]["shapley"][side["name"]]
            values = [p["value"] for p in side["parts"]]
            whole = side["checks"]["completeness"]
            assert whole["sum"] == pytest.approx(sum(values)) and whole["whole"] == side["full"] - side["nothing"]
            if side["method"] == "shapley":
                assert whole["sum"] == pytest.approx(whole["whole"], abs=1e-9)
    assert len(sides(found)["image"]["parts"]) == 9 and sides(found)["image"]["method"] == "occlusion"
    assert [p["column"] for p in sides(found)["tabular"]["parts"]] == ["size"]


def test_a_hidden_word_scores_as_the_text_without_it(network: plait.Plait, posts: Path, found: dict[str, Any]) -> None:
    from plait.data.table import read_table

    table = read_table(posts).take([40])
    text, side = table.column("text")[0], sides(found)["text"]
    part = side["parts"][1]
    shorter = " ".join((text[: part["start"]] + text[part["end"] :]).split())
    proba = network.predict_proba(table.with_column("text", [shorter]))
    place = network.labels.classes.index(found["inputs"]["rows"][0]["prediction"])
    assert part["probability_without"] == pytest.approx(proba[0, place], abs=1e-5)


def test_cost_is_known_before_and_kept(network: plait.Plait, posts: Path) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        if what.startswith("parts of"):
            told.append((done, total))

    found = network.explain(posts, rows=[41], progress=progress, inputs={"grid": 2, "orders": 1}, **FEW)
    cost = found["inputs"]["cost"]
    assert told[-1] == (cost["planned"], cost["planned"]) and {total for _, total in told} == {cost["planned"]}
    assert 0 < cost["answers"] <= cost["planned"]


def test_gradients_leave_little_over_and_skip_columns(network: plait.Plait, posts: Path) -> None:
    found = network.explain(posts, rows=1, inputs={"method": "gradients", "grid": 3, "orders": 1}, **FEW)
    by_name = sides(found)
    assert "gradients follow words" in by_name["tabular"]["skipped"]
    for name in ("text", "image"):
        whole = by_name[name]["checks"]["completeness"]
        assert whole["share"] < 0.1 or abs(whole["residual"]) < 1e-3, name
        assert by_name[name]["steps"] in (32, 128) and by_name[name]["checks"]["new_heads"].get("heads", 1) == 1


def test_a_named_class_turns_the_signs_of_two(network: plait.Plait, posts: Path) -> None:
    given = {"grid": 2, "orders": 1}
    parts = []
    for name in network.labels.classes[:2]:
        found = network.explain(posts, rows=1, inputs={**given, "explain_class": name}, **FEW)
        assert found["inputs"]["rows"][0]["explained"] == f"log-odds of {name}"
        assert found["examples"][0]["explained"] == f"probability of {name}"  # the shares beside it, of the same class
        parts.append([p["value"] for p in sides(found)["text"]["parts"]])
    if len(network.labels.classes) == 2:
        np.testing.assert_allclose(parts[0], -np.array(parts[1]), atol=1e-5)
    with pytest.raises(ValueError, match="explain_class.*nobody"):
        network.explain(posts, rows=1, inputs={"explain_class": "nobody"}, **FEW)


def test_an_ensemble_is_explained_by_occlusion_and_refuses_gradients() -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    table = {
        "text": [f"a {'big' if s > 0 else 'small'} thing number {i}" for i, s in enumerate(size)],
        "size": size.tolist(), "label": ["up" if s > 0 else "down" for s in size],
        "split": ["train"] * 36 + ["val"] * 12 + ["test"] * 12,
    }  # fmt: skip
    fitted = plait.fit(table, "label", split="split", preset="fast", epochs=1, set=QUICK)
    assert fitted.ensemble is not None
    found = fitted.explain(table, rows=2, inputs={"orders": 1}, **FEW)
    proba = fitted.predict_proba(table)
    for row in found["inputs"]["rows"]:
        for side in row["modalities"]:
            assert 1 / (1 + np.exp(-side["full"])) == pytest.approx(proba[row["row"]].max(), abs=1e-4)
            assert side["checks"]["new_heads"]["passes"] is None
    with pytest.raises(ValueError, match="method='gradients' needs one network"):
        fitted.explain(table, rows=1, inputs={"method": "gradients"}, **FEW)


def test_the_page_and_the_numbers(found: dict[str, Any]) -> None:
    page = found["page"].read_text(encoding="utf-8")
    numbers = json.loads(found["page"].with_suffix(".json").read_text(encoding="utf-8"))
    assert ">Inside the inputs</h2>" in page and page.count('<article class="parts"') == 2
    assert page.count('class="heat"') == 2 and page.count("<mark ") >= 4 and "<script" not in page
    assert page.count("checks and method") == 2 * 3
    assert "image_jpeg_base64" not in json.dumps(numbers)
    assert sides(numbers, 1)["text"]["parts"] == sides(found, 1)["text"]["parts"]
    for row in found["inputs"]["rows"]:
        for side in row["modalities"]:
            assert side["trusted"] == (not side["failed"])
    assert page.count("Not to be trusted") == found["inputs"]["untrusted"]


def test_rows_are_a_split_a_count_or_numbers() -> None:
    for wrong in ("0", "half", "3,-1", [], [-1], 0, 2.5, "3;4", [1.5], [True], True):
        with pytest.raises(ValueError, match="how many rows to explain"):
            split_and_rows(wrong)  # type: ignore[arg-type]
    assert split_and_rows([3, 3, 1]) == split_and_rows("3,3,1") == (None, [3, 1])


def test_a_row_outside_the_test_split_is_explained_all_the_same(network: plait.Plait, posts: Path) -> None:
    found = network.explain(posts, rows=[3], inputs={"grid": 2, "orders": 1}, **FEW)
    assert [r["row"] for r in found["inputs"]["rows"]] == [3] and found["split"] == "all"
    assert any("SEEN IN TRAINING" in note or "train" in note for note in found["notes"])
    with pytest.raises(ValueError, match="row 999 is not among"):
        network.explain(posts, rows=[999], **FEW)


def test_the_command(run: Any, posts: Path, posts_model: Path) -> None:
    code, out, err = run("explain", posts_model, posts, "--rows", "1", "--quiet")
    assert code == 0, err
    assert "row 40: truth" in out and "log-odds of" in out
    code, _, err = run("explain", posts_model, posts, "--rows", "some")
    assert code != 0 and "how many rows to explain" in err
