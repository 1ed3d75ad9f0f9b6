"""Classes described in words: files that say them, the mean of sentences, one temperature, the command line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest

import plait
from fixtures.lazy import lazy

read_descriptions = lazy("plait.api.described", "read_descriptions")


def test_descriptions_in_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "cat: a photo of a cat\ndog:\n  - a dog\n  - a puppy\n7: seven\n", encoding="utf-8"
    )
    expected = {"cat": ("a photo of a cat",), "dog": ("a dog", "a puppy"), "7": ("seven",)}
    assert read_descriptions(tmp_path / "a.yaml") == expected
    (tmp_path / "a.json").write_text(json.dumps({name: list(said) for name, said in expected.items()}))
    assert read_descriptions(str(tmp_path / "a.json")) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cat: a cat", "two or more classes"),
        ("- a\n- b", "two or more classes"),
        ("cat: a cat\ncat: another", "'cat' twice"),
        ("cat: []\ndog: a dog", "class 'cat' needs a sentence"),
        ("cat: [[a]]\ndog: a dog", "class 'cat' needs a sentence"),
        ("cat: ' '\ndog: a dog", "class 'cat' needs a sentence"),
        ("cat: [a", "not valid YAML"),
        ("cat: !!python/object/apply:os.system [ls]\ndog: a", "not valid YAML"),
    ],
)
def test_descriptions_that_cannot_be_read(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        read_descriptions(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="cannot read the descriptions"):
        read_descriptions(tmp_path / "none.yaml")


@pytest.fixture(scope="module")
def model(coloured_model: Path) -> plait.Plait:
    return plait.load(coloured_model)


def colours(table: Path) -> dict[str, list[str]]:
    """Photos with the name of their colour, which stands in each caption."""
    rows = pyarrow.csv.read_csv(table).to_pylist()
    from fixtures.coloured import COLOURS

    names = list(COLOURS)
    named = [next(n for n in names if n in row["caption"].split()) for row in rows]
    return {"image": [str(table.parent / row["image"]) for row in rows], "colour": named}


def test_one_sentence_a_class_is_what_classify_answers(model: plait.Plait, coloured_photos: Path) -> None:
    given = colours(coloured_photos)
    names = sorted(set(given["colour"]))
    by_hand = model.classify({"image": given["image"]}, names, template="a {} photo", allow_outside=True)
    classes = model.described({name: f"a {name} photo" for name in names})
    found = classes.predict({"image": [*given["image"], None]}, allow_outside=True)
    columns = [found.column(f"probability_{name}").to_numpy()[:-1] for name in names]
    assert np.stack(columns, axis=1) == pytest.approx(by_hand, abs=1e-6)
    last = found.to_pylist()[-1]
    assert last["prediction"] is None and last["probability"] is None and last["problem"] == "no image in this row"


def test_several_sentences_are_one_mean(model: plait.Plait) -> None:
    texts = {"red": ["a red photo", "something red"], "blue": ["a blue photo"]}
    classes = model.described(texts)
    unit, _ = model.embed({"caption": texts["red"]}, "caption")
    mean = unit.astype(float).mean(0)
    assert classes.words_CD[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert np.linalg.norm(classes.words_CD, axis=1) == pytest.approx([1.0, 1.0])


def test_a_temperature_changes_no_answer_and_lowers_the_loss(model: plait.Plait, coloured_photos: Path) -> None:
    given = colours(coloured_photos)
    classes = model.described({name: f"a {name} photo" for name in sorted(set(given["colour"]))})
    before = classes.evaluate(given, "colour", allow_outside=True)
    assert before["rows"] == len(given["colour"]) and before["metrics"]["accuracy"]["value"] > 0.3  # of six colours
    with pytest.warns(UserWarning, match="72 labelled rows teach lies at its bound, .*; give more of them"):
        temperature = classes.calibrate(given, "colour", allow_outside=True)
    after = classes.evaluate(given, "colour", allow_outside=True)
    assert after["temperature"] == temperature != 1.0
    assert after["metrics"]["accuracy"] == before["metrics"]["accuracy"]
    assert after["metrics"]["log_loss"]["value"] < before["metrics"]["log_loss"]["value"]


def test_rows_of_no_described_class_are_counted(model: plait.Plait, coloured_photos: Path) -> None:
    given = colours(coloured_photos)
    two = sorted(set(given["colour"]))[:2]
    classes = model.described({name: f"a {name} photo" for name in two})
    found = classes.evaluate(given, "colour", allow_outside=True)
    others = sum(name not in two for name in given["colour"])
    assert found["rows"] == len(given["colour"]) - others
    assert found["notes"][0].startswith(f"{others} rows left out, of no described class: ")
    with pytest.raises(ValueError, match="unknown column 'color'.*Did you mean 'colour'"):
        classes.evaluate(given, "color", allow_outside=True)
    with pytest.raises(ValueError, match="no row of a dict shows something"):
        classes.evaluate({**given, "colour": ["x"] * len(given["colour"])}, "colour", allow_outside=True)


def test_another_model_has_no_towers(posts_model: Path) -> None:
    with pytest.raises(ValueError, match="not made for searching"):
        plait.load(posts_model).described({"a": "b", "c": "d"})


def test_the_command_line(coloured_model: Path, coloured_photos: Path, run: Any, tmp_path: Path) -> None:
    given = colours(coloured_photos)
    names = sorted(set(given["colour"]))
    words = tmp_path / "labels.yaml"
    words.write_text("".join(f"{name}: a {name} photo\n" for name in names), encoding="utf-8")
    table = coloured_photos.parent / "named.csv"
    rows = [f"{Path(i).relative_to(table.parent)},{c}\n" for i, c in zip(given["image"], given["colour"], strict=True)]
    table.write_text("image,colour\n" + "".join(rows), encoding="utf-8")
    code, out, err = run("evaluate", coloured_model, table, "--describe", words, "--target", "colour", "--quiet")
    assert code == 0 and not err and "6 classes described in words, on" in out and "accuracy" in out
    code, out, err = run("evaluate", coloured_model, table, "--describe", words)
    assert code == 2 and "--describe needs --target COLUMN" in err
    asked = ["predict", coloured_model, table, "--describe", words, "-o"]
    code, out, err = run(*asked, tmp_path / "plain.csv", "--quiet")
    assert (
        code == 0 and err.startswith("note: no labelled rows made these probabilities true") and "--target COL" in err
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, out, err = run(*asked, tmp_path / "out.csv", "--labelled", table, "--target", "colour", "--quiet")
    assert code == 0 and "lies at its bound" in err and "no labelled rows" not in err, err
    found = pyarrow.csv.read_csv(tmp_path / "out.csv")
    assert found.num_rows == len(rows) and set(found.column("prediction").to_pylist()) <= set(names)
    assert [n for n in found.column_names if n.startswith("probability_")] == [f"probability_{n}" for n in names]


def test_names_of_classes_are_taken_as_they_are_written(tmp_path: Path) -> None:
    place = tmp_path / "l.yaml"
    place.write_text("007: a spy\n12:30: lunch\nyes: agreed\n1.10: a version\n", encoding="utf-8")
    assert list(read_descriptions(place)) == ["007", "12:30", "yes", "1.10"]
    place.write_text("cat: a cat\n' cat': another\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names the class 'cat' twice"):
        read_descriptions(place)
    place.write_text("[" * 3000 + "]" * 3000, encoding="utf-8")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_descriptions(place)
