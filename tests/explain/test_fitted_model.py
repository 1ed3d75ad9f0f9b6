"""Explaining fitted models: planted data, the page, missing and broken cells, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import QUICK
from plait.data.synthetic import make_synthetic
from plait.data.table import read_table
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.report import write_explanation

FEW: dict[str, Any] = {"permutations": 3, "emap_evaluations": 3000}


@pytest.fixture(scope="module")
def model(posts_model: Path) -> plait.Plait:
    return plait.load(posts_model)


@pytest.fixture(scope="module")
def found(posts: Path, model: plait.Plait) -> dict[str, Any]:
    return model.explain(posts, rows="all", **FEW)


def test_subsets_are_what_the_model_answers(posts: Path, model: plait.Plait, found: dict[str, Any]) -> None:
    table = read_table(posts)
    truth = np.array(table.column("label"))
    columns = {"text": ["text"], "image": ["image"], "tabular": ["size"]}
    for subset in found["subsets"]:
        hidden = table
        for name in set(columns) - set(subset["modalities"]):
            for column in columns[name]:
                hidden = hidden.with_column(column, [None] * len(table))
        said = np.array(model.predict(hidden).column("prediction").to_pylist())
        assert subset["metric"]["value"] == pytest.approx((said == truth).mean(), abs=1e-9), subset["name"]
    evaluated = model.evaluate(posts, rows="all")["evaluation"]["metrics"]
    assert found["subsets"][-1]["loss"]["value"] == pytest.approx(evaluated["log_loss"]["value"], abs=1e-5)
    assert found["rows"] == 48 and found["split"] == "all" and found["task"] == "classification"


def test_every_row_and_the_whole_add_up(model: plait.Plait, posts: Path) -> None:
    found = model.explain(posts, examples=list(range(40, 48)), **FEW)  # the test split
    assert [r["row"] for r in found["examples"]] == list(range(40, 48))
    proba = model.predict_proba(posts)
    for row in found["examples"]:
        assert sum(row["shapley"].values()) == pytest.approx(row["with everything"] - row["with nothing"], abs=1e-12)
        assert row["with everything"] == pytest.approx(proba[row["row"]].max(), abs=1e-5)
        assert {i["name"] for i in row["inputs"]} == {"text", "image", "size"}
    json.dumps(found, allow_nan=False)


def test_encoding_once_changes_no_answer(posts: Path, model: plait.Plait) -> None:
    from plait.api.evaluation import open_evaluation
    from plait.explain.encoded import encode_once

    given = open_evaluation(model, posts, rows="all")
    index = given.prepared.rows.index_NM.copy()
    index[3, 0] = index[5, 1] = index[7, :] = -1
    sources, numbers = encode_once(model.model, given.prepared.sources, index, batch_size=7)
    live = predict_logits(model.model, RowBatches(given.prepared.sources, index))
    np.testing.assert_allclose(predict_logits(model.model, RowBatches(sources, numbers)), live, atol=1e-5)


def test_networks_of_an_ensemble_are_fed_what_their_own_encoders_made(posts: Path) -> None:
    from plait.api.evaluation import open_evaluation
    from plait.explain.encoded import encode_once

    options = [*QUICK, "train.epochs=2", "ensemble.folds=2"]
    model = plait.fit(posts, "label", split="split", preset="best", set=options)
    given = open_evaluation(model, posts, rows="all")
    networks = given.uncalibrated.networks
    assert len(networks) > 1
    index = given.prepared.rows.index_NM.copy()
    index[3, 0] = index[5, 1] = index[7, :] = -1
    sources, numbers = encode_once(given.uncalibrated, given.prepared.sources, index, batch_size=7)
    live = predict_logits(given.answers, RowBatches(given.prepared.sources, index))
    np.testing.assert_allclose(predict_logits(given.answers, RowBatches(sources, numbers)), live, atol=1e-5)
    for network in networks:  # with its tensors gone each would encode anew, and there is nothing to encode
        network.network.encode_modality = None
    np.testing.assert_allclose(predict_logits(given.answers, RowBatches(sources, numbers)), live, atol=1e-5)


def test_encoding_once_keeps_the_words_of_a_bag(posts: Path) -> None:
    from plait.api.evaluation import open_evaluation
    from plait.explain.encoded import encode_once

    options = [*QUICK, "train.epochs=2", "encoders.words=16"]
    model = plait.fit(posts, "label", split="split", preset="single", set=options)
    given = open_evaluation(model, posts, rows="all")
    index = given.prepared.rows.index_NM.copy()
    index[3, 0] = index[5, 1] = -1
    sources, numbers = encode_once(model.model, given.prepared.sources, index, batch_size=7)
    live = predict_logits(model.model, RowBatches(given.prepared.sources, index))
    np.testing.assert_allclose(predict_logits(model.model, RowBatches(sources, numbers)), live, atol=1e-5)
    found = model.explain(posts, rows="all", **FEW)
    assert found["subsets"][-1]["modalities"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["xor", "dead"])
def test_planted_data(mode: str) -> None:
    table = make_synthetic(mode, 800, seed=1)
    # At the default rate of 0.001 a text network from scratch learns 480 rows by heart before it finds the interaction.
    options = [*QUICK, "train.epochs=25", "train.patience=0", "train.learning_rate=0.0003"]
    fitted = plait.fit(table, "label", split="split", id="id", fusion="product", ignore=["number"], set=options)
    found = fitted.explain(table, **FEW)
    by_name = {s["name"]: s["metric"]["value"] for s in found["subsets"]}
    assert by_name["image + text"] > 0.95
    share = found["shapley"]["metric"]
    if mode == "xor":
        assert by_name["text"] == pytest.approx(0.5, abs=0.12) and by_name["image"] == pytest.approx(0.5, abs=0.12)
        assert found["interaction"]["metric"][0]["low"] > 0.3 and found["emap"]["gap"]["low"] > 0.15
        assert "Interaction between the modalities is worth" in found["verdict"]
    else:
        assert share["text"]["value"] > 0.4 and abs(share["image"]["value"]) < 0.05
        assert abs(found["perceptual"]["modalities"]["image"]["raw"]["value"]) < 0.05


def test_rows_with_missing_and_broken_cells(posts: Path, model: plait.Plait) -> None:
    table = read_table(posts)
    images, texts = table.column("image"), table.column("text")
    images[41], texts[42], images[43] = "img/gone.png", None, None
    broken = table.with_column("image", images).with_column("text", texts).with_column("other", ["x"] * 48)
    with pytest.raises(ValueError, match="row 41, column 'image'"):
        model.explain(broken)
    found = model.explain(broken, on_bad_row="missing", examples=[41, 42, 43], **FEW)
    assert found["rows"] == 8 and [b["row"] for b in found["bad_rows"]] == [41]
    lacking = [{"image"}, {"text"}, {"image"}]
    for row, names in zip(found["examples"], lacking, strict=True):
        assert all(row["shapley"][n] == 0.0 for n in names) and not names & set(row["present"])
    assert any("3 of 8 rows lack a modality" in note for note in found["notes"])
    skipped = model.explain(broken, on_bad_row="skip", **FEW)
    assert skipped["rows"] == 7 and len(skipped["bad_rows"]) == 1
    without = type(table)(table.arrow.drop_columns(["image"]), table.root, table.source)
    found = model.explain(without, **FEW)
    assert found["shapley"]["metric"]["image"]["value"] == 0.0 and found["counts"]


def test_one_row_and_marginal(posts: Path, model: plait.Plait) -> None:
    row = read_table(posts).take([44])
    found = model.explain(row, **FEW)
    assert found["rows"] == 1 and found["examples"][0]["row"] == 44 and found["emap"] is None
    with pytest.raises(ValueError, match="only one row"):
        model.explain(row, absence="marginal")
    marginal = model.explain(posts, absence="marginal", draws=3, **FEW)
    assert marginal["absence"]["name"] == "marginal" and "3 such rows" in marginal["absence"]["meaning"]


def test_regression_in_natural_units() -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    table = {
        "text": [f"a {'big' if s > 0 else 'small'} thing here today" for s in size], "size": size.tolist(),
        "price": (1000 + 50 * size).tolist(),
    }  # fmt: skip
    fitted = plait.fit(table, "price", epochs=3, numeric="size", text="text", preset="single", set=QUICK)
    found = fitted.explain(table, rows="all", **FEW)
    assert found["metric"]["name"] == "r2" and found["emap"]["method"].startswith("Hessel and Lee 2020 on predicted")
    predicted = fitted.predict(table).column("prediction").to_pylist()
    row = found["examples"][0]
    assert row["with everything"] == pytest.approx(predicted[row["row"]], rel=1e-5)
    assert found["subsets"][-1]["loss"]["value"] == pytest.approx(
        fitted.evaluate(table, rows="all")["evaluation"]["metrics"]["rmse"]["value"] ** 2, rel=1e-4
    )


def test_errors_help(posts: Path, model: plait.Plait, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="missing or marginal"):
        model.explain(posts, absence="value")
    with pytest.raises(ValueError, match="row 3 is not among the 8 rows.*rows='all'"):
        model.explain(posts, examples=[3])
    with pytest.raises(ValueError, match="no column 'label'"):
        model.explain({"text": ["a"]})
    monkeypatch.setattr(type(model.model.config), "modality_names", [f"m{i}" for i in range(7)])
    with pytest.raises(ValueError, match="7 modalities"):
        model.explain("nowhere.csv")


def test_the_page(tmp_path: Path, posts: Path, model: plait.Plait) -> None:
    result = model.explain(posts, rows="all", report=tmp_path / "why.html", **FEW)
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    numbers = json.loads((tmp_path / "why.json").read_text(encoding="utf-8"))
    assert numbers["shapley"]["metric"] == result["shapley"]["metric"]
    assert "image_jpeg_base64" not in json.dumps(numbers) and "data:image/jpeg;base64," in page
    assert "<script" not in page and "http-equiv" in page and 'src="http' not in page
    for title in ("What each modality adds", "Every subset", "Who needs whom", "With and without interaction",
                  "Dealt to the wrong rows", "Row by row", "How it was measured"):  # fmt: skip
        assert f">{title}</h2>" in page, title
    assert page.count('class="step ') >= 3 + 3 * len(result["examples"])


def test_the_page_of_odd_explanations(tmp_path: Path) -> None:
    """One row, hostile names, and numbers that are not there: a page all the same, and everything escaped."""
    evil = "<script>alert(1)</script>"
    rows = {evil: [1.0, -1.0, None], "b\u202e": [1.0, 1.0, 1.0]}

    def answers(given: dict[str, Any]) -> np.ndarray:
        yes = np.array([0.5 if v is None else 0.9 if v > 0 else 0.1 for v in given[evil]])
        return np.stack([1 - yes, yes], axis=1)

    for n in (1, 3):
        part = {k: v[:n] for k, v in rows.items()}
        made = plait.explain_modalities(answers, part, [1, 0, 1][:n], classes=[evil, "x"], permutations=2)
        page, _ = write_explanation(tmp_path / f"{n}.html", made, title=evil)
        assert evil not in page.read_text(encoding="utf-8")
    write_explanation(tmp_path / "empty.html", {}, title="nothing")
    undefined = plait.explain_modalities(lambda g: [2.0] * len(g[evil]), rows, [1, 1, 1], task="regression")
    assert undefined["subsets"][-1]["metric"]["value"] is None and "cannot be measured" in undefined["verdict"]
    write_explanation(tmp_path / "undefined.html", undefined, title="undefined")


@pytest.mark.real
@pytest.mark.slow
def test_real_posts(shared_data: Path, tmp_path: Path) -> None:
    from plait.weights import list_weights

    if not all(w["present"] for w in list_weights() if w["name"] in ("minilm", "efficientnet-lite0")):
        pytest.skip("pretrained weights are not here; plait weights fetch minilm efficientnet-lite0")
    table = shared_data / "posts-sentiment" / "posts.csv"
    fitted = plait.fit(table, "sentiment", split="split", epochs=3, set=["train.baselines=false", "train.threads=1"])
    found = fitted.explain(table)
    assert found["shapley"]["metric"]["text"]["value"] > found["shapley"]["metric"]["image"]["value"]


def test_a_row_that_lacks_a_modality_is_explained(posts: Path) -> None:
    model = plait.fit(posts, "label", split="split", preset="single", set=[*QUICK, "train.epochs=1"])
    table = read_table(posts).take([40, 41])
    found = model.explain(table.with_column("text", [None, None]), rows=[40], **FEW)
    assert [m["name"] for m in found["inputs"]["rows"][0]["modalities"]] and found["rows"] == 2
