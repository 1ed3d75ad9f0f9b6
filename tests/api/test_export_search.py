"""A model that searches, exported: a graph a modality, whose vectors and ranks are those of Plait."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.coloured import COLOURS, SCRATCH
from fixtures.lazy import lazy
from fixtures.media import noise_png, sound
from fixtures.without_pytorch import WITHOUT_PYTORCH
from plait.data.table import read_table

pytest.importorskip("onnx", reason="extra onnx")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")

towers, parity, onnx_file = (lazy(f"plait.api.exporting.{name}") for name in ("towers", "parity", "onnx_file"))
reader = lazy("plait.api.exporting.reader")


@pytest.fixture(scope="module")
def fitted(coloured_model: Path) -> plait.Plait:
    return plait.load(coloured_model)


@pytest.fixture(scope="module")
def exported(
    fitted: plait.Plait, coloured_photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    return folder, plait.export(fitted, folder, check=coloured_photos)


def cells(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_told_of_the_export(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, told = exported
    assert told["random"]["largest_difference"] <= told["random"]["bound"] == 1e-5
    assert told["check"]["rows"] == 72 and told["check"]["largest_difference"] <= 1e-5
    assert told["check"]["same_nearest"] == 1 and set(told["speed"]["sides"]) == {"image", "caption"}
    facts = json.loads((folder / "plait.json").read_text("utf-8"))
    assert facts["graph"] == {"image": "model.0.image.onnx", "caption": "model.1.text.onnx"}
    assert (facts["dim"], facts["plain_dim"], facts["outputs"]) == (20, 16, "embeddings") and facts["scale"] > 1
    assert set(facts["graph"].values()) < set(facts["sha256"])
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("batch_size", [1, 5, 32])
@pytest.mark.parametrize("modality", ["image", "caption"])
def test_vectors_equal_the_models(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, coloured_photos: Path, modality: str, batch_size: int
) -> None:
    model = reader.SearchModel(exported[0], root=coloured_photos.parent)
    found = model.embed(cells(coloured_photos), modality, batch_size=batch_size)
    expected, _ = fitted.embed(coloured_photos, modality)
    assert found.vectors.dtype == np.float32 and np.abs(found.vectors - expected).max() <= 1e-5
    assert found.problems == [None] * 72
    assert np.abs(model.embed_csv(coloured_photos, modality).vectors - expected).max() <= 1e-5


def test_cells_that_hold_nothing_or_nothing_readable(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "\u597d.png").write_bytes(noise_png(1, 16))
    rows = [{"image": name} for name in ("\u597d.png", "", "broken.png", "gone.png")]
    expected, bad = fitted.embed(rows, "image")
    found = reader.SearchModel(exported[0]).embed(rows, "image")
    assert np.abs(found.vectors - expected).max() <= 1e-5 and found.vectors.any(1).tolist() == [True] + [False] * 3
    assert found.problems == [None, None, *(f"image: {one.reason.removeprefix('image: ')}" for one in bad)]
    assert len(reader.SearchModel(exported[0]).embed([], "image").vectors) == 0
    (tmp_path / "t.csv").write_text("image,caption\n\u597d.png,a\ntoo,many,fields\n\u597d.png,b\n", encoding="utf-8")
    told = reader.SearchModel(exported[0]).embed_csv(tmp_path / "t.csv", "image")
    assert "3 fields where the header has 2" in told.problems[1] and told.vectors.any(1).tolist() == [True, False, True]


def test_ranks_are_those_of_an_index(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, coloured_photos: Path, tmp_path: Path
) -> None:
    """Text finds picture by the cosine corrected for hubs, picture finds picture by the plain one."""
    from plait.index import build_index

    index, _ = build_index(fitted, coloured_photos, tmp_path / "index", modality="image")
    model = reader.SearchModel(exported[0], root=coloured_photos.parent)
    rows = cells(coloured_photos)
    items = model.embed(rows, "image")
    place = {row["image"]: i for i, row in reversed(list(enumerate(rows)))}
    for word in COLOURS:
        hits = model.rank(model.embed([{"caption": f"a {word} square"}], "caption"), items, k=72)[0]
        score = {hit["row"]: hit["score"] for hit in hits}
        expected = index.search(f"a {word} square", k=5)
        assert len(score) == 72 and [h["score"] for h in hits] == sorted(score.values(), reverse=True)
        for hit in expected:
            assert score[place[hit.metadata["image"]]] == pytest.approx(hit.score, abs=1e-5)
        assert hits[0]["score"] == pytest.approx(expected[0].score, abs=1e-5)
    within = model.rank(model.embed(rows[:2], "image"), items, k=3)
    assert within[0][0]["row"] == 0 and within[0][0]["score"] == pytest.approx(1, abs=1e-5)
    expected = index.search(image=coloured_photos.parent / rows[0]["image"], k=3)
    assert [h["score"] for h in within[0][2:]] == pytest.approx([expected[1].score], abs=1e-4)


def test_what_has_no_vector_is_not_ranked(exported: tuple[Path, dict[str, Any]]) -> None:
    model = reader.SearchModel(exported[0])
    texts = model.embed([{"caption": "red"}, {"caption": ""}, {"caption": "blue"}], "caption")
    hits = model.rank(texts, texts, k=9)
    assert [[hit["row"] for hit in one] for one in hits] == [[0, 2], [], [2, 0]]
    assert model.rank(model.embed([], "caption"), texts) == []
    with pytest.raises(ValueError, match="k is 0"):
        model.rank(texts, texts, k=0)
    with pytest.raises(ValueError, match=r"shape \(1, 3\); expected \[N, 20\]"):
        model.rank(texts, reader.search.Embedded("caption", np.ones((1, 3)), [None]))
    with pytest.raises(ValueError, match="modality is 'sound'; expected one of image, caption"):
        model.embed([{"caption": "red"}], "sound")
    with pytest.raises(
        ValueError, match=r"none of the columns this model reads \(caption \(did you mean 'Caption'\?\)"
    ):
        model.embed([{"Caption": "red"}], "caption")
    with pytest.raises(ValueError, match=r"write \[row\]"):
        model.embed({"caption": "red"}, "caption")


@pytest.mark.parametrize("modality", ["image", "caption"])
def test_what_is_missing_changes_no_bit(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, modality: str
) -> None:
    from plait.api.exporting.rows import random_rows

    graph = json.loads((exported[0] / "plait.json").read_text("utf-8"))["graph"][modality]
    session = onnx_file.open_session(exported[0] / graph)
    inputs, present = random_rows(towers.inputs_of(fitted, modality), 6, 4, seed=3)
    found = onnx_file.run_session(session, inputs, present)
    assert np.array_equal(found, onnx_file.run_session(session, parity.spoil(inputs, present), present))
    assert np.array_equal(found.any(1), present[:, 0].numpy())
    assert np.abs(np.linalg.norm(found[found.any(1)], axis=1) - 1).max() < 1e-5


def test_example_searches_without_pytorch_and_plait(
    exported: tuple[Path, dict[str, Any]], coloured_photos: Path
) -> None:
    example = exported[0] / "example.py"
    assert len([line for line in example.read_text("utf-8").splitlines() if line.strip()]) <= 30
    command = [sys.executable, "-c", WITHOUT_PYTORCH, str(example)]
    alone = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, encoding="utf-8")
    assert json.loads(alone.stdout)["row"] == 0
    words = [*command, str(coloured_photos), "a red square"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, encoding="utf-8")
    hits = [json.loads(line) for line in done.stdout.splitlines()]
    model = reader.SearchModel(exported[0], root=coloured_photos.parent)
    query = model.embed([{"caption": "a red square"}], "caption")
    expected = model.rank(query, model.embed_csv(coloured_photos, "image"), k=5)[0]
    assert hits == expected


def test_folders_of_the_other_kind_and_changed_ones_are_refused(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path, fitted: plait.Plait
) -> None:
    with pytest.raises(ValueError, match="holds a model that searches; open it with plait_onnx.SearchModel, not Model"):
        reader.Model(exported[0])
    shutil.copytree(exported[0], tmp_path / "copy")
    with (tmp_path / "copy" / "model.1.text.onnx").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="is not the file that was exported"):
        reader.SearchModel(tmp_path / "copy")
    facts = json.loads((exported[0] / "plait.json").read_text("utf-8"))
    (tmp_path / "copy" / "plait.json").write_text(json.dumps({**facts, "outputs": "classes"}), encoding="utf-8")
    with pytest.raises(ValueError, match="holds a model that answers; open it with plait_onnx.Model, not SearchModel"):
        reader.SearchModel(tmp_path / "copy")
    for key in ("dim", "graph", "columns"):
        less = {name: value for name, value in facts.items() if name != key}
        (tmp_path / "copy" / "plait.json").write_text(json.dumps(less), encoding="utf-8")
        with pytest.raises(ValueError, match="is not what was exported"):
            reader.SearchModel(tmp_path / "copy")
    with pytest.raises(ValueError, match="leave int8 out"):
        plait.export(fitted, tmp_path / "new", check=[{"caption": "a"}], int8=True)
    with pytest.raises(ValueError, match="overwrite=True"):
        plait.export(fitted, exported[0])


@pytest.mark.slow
def test_three_sides_with_sound(tmp_path: Path) -> None:
    """Each of three modalities, hubs among all of them; a table that holds one of them is enough to compare."""
    pytest.importorskip("soundfile", reason="extra audio")
    rows = []
    for i in range(60):
        time_T, word = np.arange(3200) / 16_000, list(COLOURS)[i % 6]
        (tmp_path / f"{i}.wav").write_bytes(sound(np.float32(0.3 * np.sin(2000 * (1 + i % 6) * time_T)), 16_000))
        (tmp_path / f"{i}.png").write_bytes(noise_png(i, 16))
        rows.append({"image": f"{i}.png", "caption": f"{word} {i}", "\u58f0": f"{i}.wav" if i % 7 else ""})
    table = tmp_path / "t.csv"
    table.write_text("\n".join(",".join(line) for line in [list(rows[0]), *(list(r.values()) for r in rows)]) + "\n")
    model = plait.fit(
        table, task="retrieval", audio=["\u58f0"], epochs=2, set=[*SCRATCH, "encoders.audio=scratch:audio"]
    )
    told = plait.export(model, tmp_path / "out", check=table)
    assert told["check"]["largest_difference"] <= 1e-5 and len(told["speed"]["sides"]) == 3
    found = reader.SearchModel(tmp_path / "out", root=tmp_path)
    expected, _ = model.embed(table, "\u58f0")
    assert np.abs(found.embed(rows, "\u58f0").vectors - expected).max() <= 1e-5
    some = towers.check_towers(model, tmp_path / "out", read_table([{"caption": "red"}, {"caption": ""}]), None)
    assert some["check"]["rows"] == 2 and "same_nearest" not in some["check"]
    with pytest.raises(ValueError, match="none of the columns"):
        towers.check_towers(model, tmp_path / "out", read_table([{"other": 1}]), None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_ready_two_tower_models(kind: str, tmp_path: Path) -> None:
    import test_dual_encoder as ready
    import torch

    torch.manual_seed(0)
    getattr(ready, kind)().save_pretrained(tmp_path / "hf")
    (tmp_path / "vocab.txt").write_text("\n".join(ready.WORDS))
    ready.hf.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "hf")
    model = plait.two_tower(f"hf:{tmp_path / 'hf'}")
    rows = ready.rows()
    plait.export(model, tmp_path / "out", check=rows)
    found = reader.SearchModel(tmp_path / "out")
    for modality in ("image", "caption"):
        expected, _ = model.embed(rows, modality)
        assert np.abs(found.embed(rows, modality).vectors - expected).max() <= 1e-5
    assert found.facts["bias"] == pytest.approx(float(model.model.head.bias.detach()) if kind == "siglip" else 0.0)


@pytest.mark.slow
def test_matching_answers_as_ever(tmp_path: Path, coloured_photos: Path) -> None:
    """Do two sides belong together: one graph with probabilities, as of any other model that answers."""
    rows = cells(coloured_photos)
    table = [
        {"image": str(coloured_photos.parent / row["image"]), "caption": rows[(i + 2 * (i % 2)) % 72]["caption"],
         "match": 1 - i % 2} for i, row in enumerate(rows)
    ]  # fmt: skip
    model = plait.fit(table, "match", task="matching", allow_outside=True, epochs=2, set=SCRATCH)
    told = plait.export(model, tmp_path / "out", check=table, allow_outside=True)
    assert told["check"]["largest_difference"] <= 1e-5 and told["check"]["same_predictions"] == 1
