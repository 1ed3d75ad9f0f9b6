"""Matching in whole runs: no work for what is known, words read beside the frozen vector, the same model loaded."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import plait
from fixtures.coloured import SCRATCH
from plait.data.pairs import make_pairs
from plait.data.table import read_table

QUICK = [*SCRATCH, "train.epochs=1", "train.threads=1", "judge.missing_rows=0"]


@pytest.fixture(scope="module")
def pairs(coloured_photos: Path) -> Path:
    """Balanced pairs of coloured photos and captions."""
    made = make_pairs(read_table(coloured_photos))
    place = coloured_photos.parent / "pairs.csv"
    with open(place, "w", encoding="utf-8", newline="") as out:
        rows = made.arrow.to_pylist()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return place


def fit(source: Path, output: Path | None = None, *more: str) -> plait.Plait:
    return plait.fit(
        source, "match", task="matching", image="image", text="caption", group="image_id", split="split",
        output=output, set=[*QUICK, *more],
    )  # fmt: skip


def test_balanced_pairs_train_no_modality_alone_and_say_why(pairs: Path, tmp_path: Path) -> None:
    made = fit(pairs, tmp_path / "model", "encoders.words=8")
    evaluation = made.report["evaluation"]
    assert made.baselines == {} and evaluation["alone"] == {} and not (tmp_path / "model" / "companions").exists()
    assert any("at chance by construction" in note for note in evaluation["notes"])
    assert "not known" not in made.report["verdict"]
    again = plait.load(tmp_path / "model")
    table = read_table(pairs)
    assert again.predict(table).equals(made.predict(table))


def test_other_pairs_train_each_modality_alone(pairs: Path) -> None:
    rows = read_table(pairs).arrow.to_pylist()
    right = [
        r | {"image": str(pairs.parent / r["image"])} for r in rows if r["match"] in (1, "1") or "red" in r["caption"]
    ]
    made = plait.fit(
        right, "match", task="matching", image="image", text="caption", group="image_id", split="split",
        set=[*QUICK, "data.allow_outside=true"],
    )  # fmt: skip
    assert set(made.baselines) == {"image", "caption"} == set(made.report["evaluation"]["alone"])
    assert not any("by construction" in note for note in made.report["evaluation"]["notes"])


def test_words_change_the_answer_and_a_missing_text_has_none(pairs: Path) -> None:
    made = fit(pairs, None, "encoders.words=8")
    (bag,) = made.model.words.values()
    photo = str(pairs.parent / "img/30.png")

    def answer(caption: str | None) -> np.ndarray:
        return made.predict_proba([{"image": photo, "caption": caption}], allow_outside=True)

    words, missing = answer("a red square"), answer(None)
    with_others = bag.table.weight.data.clone()
    bag.table.weight.data += 1.0
    assert not np.array_equal(answer("a red square"), words)
    assert np.array_equal(answer(None), missing)
    bag.table.weight.data.copy_(with_others)
    assert np.array_equal(answer("a red square"), words)
