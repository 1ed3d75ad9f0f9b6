"""The task retrieval, end to end on planted data: two sides of a row share a hidden word, and must find each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import plait
from fixtures.coloured import COLOURS, SCRATCH
from plait.data.table import read_table


@pytest.fixture(scope="module")
def photos(coloured_photos: Path) -> Path:
    return coloured_photos


@pytest.fixture(scope="module")
def model(coloured_model: Path) -> Path:
    return coloured_model


def test_planted_pairs_find_each_other(model: Path) -> None:
    """Six test photos of six colours: by chance one in six is first."""
    report = json.loads((model / "report.json").read_text())
    assert report["task"] == "retrieval" and report.get("target") is None
    directions = {(d["query"], d["gallery"]): d for d in report["evaluation"]["directions"]}
    there, back = directions["image", "caption"], directions["caption", "image"]
    assert (there["queries"], there["items"], back["queries"], back["items"]) == (6, 12, 12, 6)
    assert back["chance"]["hit_rate@1"] == pytest.approx(1 / 6)
    assert there["chance"]["hit_rate@1"] == pytest.approx(2 / 12)
    assert there["chance"]["hit_rate@5"] == pytest.approx(1 - (7 / 12) * (6 / 11))  # neither of two among five of 12
    assert back["metrics"]["hit_rate@1"]["value"] > 0.6 and there["metrics"]["hit_rate@1"]["value"] > 0.6
    mean = np.mean([d["metrics"][f"hit_rate@{k}"]["value"] for d in (there, back) for k in (1, 5, 10)])
    assert report["evaluation"]["metrics"]["mean_hit_rate"]["value"] == pytest.approx(mean)
    assert "find a right image first among 6 (chance 16.7%)" in report["verdict"]
    assert not (model / "companions").exists() and report["evaluation"]["alone"] == {}


def test_report_shows_searches_and_keeps_pictures_out_of_the_json(model: Path) -> None:
    page = (model / "report.html").read_text(encoding="utf-8")
    assert "Every direction" in page and 'class="search"' in page and "data:image/jpeg;base64," in page
    report = json.loads((model / "report.json").read_text())
    search = next(s for s in report["evaluation"]["searches"] if s["gallery"] == "image")
    assert len(search["hits"]) == 5 and search["hits"][0]["right"] is search["correct"]
    assert "image_jpeg_base64" not in json.dumps(report)
    scores = [h["score"] for h in search["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_vectors_are_unit_and_loaded_ones_are_the_same(model: Path, photos: Path) -> None:
    fitted = plait.load(model)
    table = read_table(photos)
    images, bad = fitted.embed(table, "image")
    captions, _ = fitted.embed(table, "caption")
    assert images.dtype == np.float32 and images.shape == (72, fitted.dim) == (72, 16 + 4) and bad == []
    for vectors in (images, captions):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(images[0], images[1])  # two captions of one photo
    assert [m.name for m in fitted.modalities] == ["image", "caption"]
    again = plait.load(model)
    assert again.fingerprint == fitted.fingerprint and len(fitted.fingerprint) == 64
    assert np.array_equal(again.embed(table, "image")[0], images)


def test_a_single_modality_table_embeds_and_the_fingerprint_sees_weights(model: Path) -> None:
    fitted = plait.load(model)
    vectors, _ = fitted.embed([{"caption": "a red square 1"}, {"caption": ""}], "caption")
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5) and not vectors[1].any()
    before = fitted.fingerprint
    next(iter(fitted.model.fusion.parameters())).data += 1e-3
    assert fitted.fingerprint != before


def test_bad_cells_are_reported_by_position(model: Path, photos: Path) -> None:
    fitted = plait.load(model)
    (photos.parent / "broken.png").write_bytes(b"no picture")
    rows = read_table(photos).take([0, 2]).arrow.to_pylist() + [{"image": "broken.png", "caption": "a red square"}]
    table = read_table(rows)
    table = type(table)(arrow=table.arrow, root=photos.parent, source="rows")
    vectors, bad = fitted.embed(table, "image")
    assert [b.row for b in bad] == [2] and not vectors[2].any() and vectors[0].any()
    with pytest.raises(ValueError, match="row 2, column 'image'|row 3, column 'image'"):
        fitted.embed(table, "image", on_bad_row="error")


def test_prediction_is_the_cosine_and_null_with_one_side(model: Path, photos: Path) -> None:
    fitted = plait.load(model)
    rows = [{"image": str(photos.parent / "img/30.png"), "caption": c} for c in ("a red square", "a blue square", None)]
    made = fitted.predict(rows, allow_outside=True).to_pylist()
    assert made[0]["prediction"] > made[1]["prediction"] and -1 <= made[1]["prediction"] <= 1  # 30 is red
    assert made[2]["prediction"] is None and made[2]["problem"] == "one side is missing"
    with pytest.raises(ValueError, match="no probabilities"):
        fitted.predict_proba(rows)


def test_words_classify_pictures(model: Path, photos: Path) -> None:
    fitted = plait.load(model)
    pictures = [{"image": str(photos.parent / f"img/{i}.png")} for i in range(30, 36)] + [{"image": None}]
    proba = fitted.classify(pictures, list(COLOURS), template="a {} square", allow_outside=True)
    assert proba.shape == (7, 6) and np.isnan(proba[6]).all()
    np.testing.assert_allclose(proba[:6].sum(1), 1.0)
    assert (proba[:6].argmax(1) == np.arange(6)).mean() > 0.6
    with pytest.raises(ValueError, match="two or more different names"):
        fitted.classify(pictures, ["red"])
    with pytest.raises(ValueError, match="needs {} once"):
        fitted.classify(pictures, ["red", "blue"], template="a photo")


def test_evaluate_without_a_group_column_groups_by_picture(model: Path, photos: Path) -> None:
    table = read_table(photos)
    rows = [{"image": str(photos.parent / r["image"]), "caption": r["caption"]} for r in table.arrow.to_pylist()[60:]]
    directions = plait.load(model).evaluate(rows, allow_outside=True)["evaluation"]["directions"]
    assert [(d["queries"], d["items"]) for d in directions] == [(6, 12), (12, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("options", [["task.loss=siglip"], ["task.loss=triplet"], ["train.hard_negatives=2"]])
def test_other_losses_and_hard_negatives_learn(photos: Path, options: list[str]) -> None:
    fitted = plait.fit(photos, task="retrieval", epochs=12, set=[*SCRATCH, *options])
    assert fitted.report["evaluation"]["metrics"]["mean_hit_rate"]["value"] > fitted.report["evaluation"]["chance"]
    history = fitted.report["history"]
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.slow
def test_resumed_mining_run_ends_where_the_straight_one_does(photos: Path, tmp_path: Path) -> None:
    options = [*SCRATCH, "train.hard_negatives=2"]
    straight = plait.fit(photos, task="retrieval", epochs=3, set=options)

    def stop(done: int, total: int, what: str) -> None:
        if "epoch 3/3" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plait.fit(photos, task="retrieval", epochs=3, set=options, output=tmp_path / "m", progress=stop)
    resumed = plait.fit(photos, task="retrieval", epochs=3, set=options, output=tmp_path / "m", resume=True)
    assert resumed.fingerprint == straight.fingerprint


def test_hard_negatives_are_the_nearest_of_other_groups() -> None:
    from plait.training.embeddings import hard_negatives

    angles = np.radians([0, 10, 20, 40, 90, 180])
    unit = np.stack([np.stack([np.cos(angles), np.sin(angles)], 1)] * 2, axis=1).astype(np.float32)
    index = np.arange(6)[:, None].repeat(2, 1)
    index[5, 0] = -1  # its first side is missing; its second is there
    group = np.array([0, 0, 1, 2, 2, 3])
    mined = hard_negatives(unit, index, group, 2)
    assert mined[0].tolist() == [2, 3]  # row 1 is of its group; of group 2 only the nearest, row 3
    assert mined[3].tolist() == [2, 1]
    assert mined[4].tolist() == [2, 1]  # row 1 is 80 degrees away, row 5 is 90
    index[2, 1] = index[0, 1]  # row 2 shows the second item of row 0
    assert hard_negatives(unit, index, group, 1)[0].tolist() == [3]
    assert hard_negatives(unit[:2], index[:2], group[:2], 3).tolist() == [[-1] * 3] * 2


def test_chance_is_that_of_a_random_order() -> None:
    from plait.evaluation.embeddings import chance_of

    chance = chance_of(np.array([1.0, 1.0]), 4)
    assert chance["hit_rate@1"] == pytest.approx(0.25) and chance["median_rank"] == pytest.approx(2.5)
    assert chance["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def rows(**changes: object) -> list[dict[str, object]]:
    made = [{"title": f"red {i}", "body": f"a text about red {i}", "n": i * 1.5} for i in range(20)]
    return [{**r, **changes} for r in made]


TEXTS = ["encoders.text=scratch:text", "train.threads=1", "fusion.width=8"]


def test_two_texts_find_each_other_and_numbers_stand_aside() -> None:
    fitted = plait.fit(rows(), task="retrieval", text=["title", "body"], epochs=1, set=TEXTS)
    assert [m.name for m in fitted.modalities] == ["title", "body"]
    assert any("not searched by" in n and "n" in n for n in fitted.report["evaluation"]["notes"])


@pytest.mark.parametrize(("width", "copies"), [(None, 2), (48, 2), (33, 1)])
def test_where_encoders_are_trained_the_trained_towers_have_the_whole_width(width: int | None, copies: int) -> None:
    asked = [one for one in TEXTS if "width" not in one] + ([] if width is None else [f"fusion.width={width}"])
    fusion = plait.fit(rows(), task="retrieval", text=["title", "body"], epochs=1, set=asked).model.fusion
    assert (fusion.copies, fusion.width, fusion.canonical) == (copies, width or 1024, None)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (rows(), {"target": "n", "text": ["title", "body"]}, "leave target='n' out"),
        ([{"title": f"t {i} x"} for i in range(20)], {"text": ["title"]}, "needs two or more input columns"),
        (rows(body=None), {"text": ["title", "body"]}, "no training row of .* readable value in column 'body'"),
        (rows(g="one"), {"text": ["title", "body"], "group": "g"}, "of one group|one group"),
        (rows()[:1], {"text": ["title", "body"]}, "at least|needs|rows"),
        (rows(), {"text": ["title", "body"], "fusion": "gated"}, "fusion='cosine'"),
        (rows(), {"text": ["title", "body"], "recipe": "classic"}, "recipe='default'"),
        (rows(), {"text": ["title", "body"], "set": ["task.class_weights=true"]}, "class weights need classes"),
    ],
)
def test_what_cannot_be_learned_is_refused(table: list, options: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        plait.fit(table, task="retrieval", epochs=1, **{**options, "set": [*TEXTS, *options.get("set", [])]})


def test_explain_and_compare_are_refused(model: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="each is searched by the other"):
        plait.load(model).explain(photos)
    with pytest.raises(ValueError, match="To compare losses"):
        plait.compare(photos, task="retrieval", output=tmp_path / "c")


def test_a_label_model_does_not_embed(posts_model: Path, posts: Path) -> None:
    with pytest.raises(ValueError, match="task='retrieval'"):
        plait.load(posts_model).embed(posts, "text")
    with pytest.raises(ValueError, match="task='retrieval'"):
        _ = plait.load(posts_model).dim


def test_collapsed_vectors_score_chance_and_are_told(model: Path, photos: Path) -> None:
    fitted = plait.load(model)
    for tower in fitted.model.fusion.towers:
        tower.linear.weight.data.zero_()
        tower.linear.bias.data.fill_(1.0)
    found = fitted.evaluate(photos)
    back = found["evaluation"]["directions"][1]
    assert back["metrics"]["hit_rate@1"]["value"] == pytest.approx(1 / 6, abs=1e-6)
    assert any(n.startswith("COLLAPSED: all vectors of image") for n in found["evaluation"]["notes"])
    assert "Not clearly better than chance" in found["verdict"]
