"""Calibrations at their edges: damaged files, labels that training did not have, an interrupted calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import QUICK
from fixtures.small_model import edit, rewritten

SET = [*QUICK, "judge.missing_rows=0"]


def table(seed: int = 0, count: int = 200) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return {"x": x.tolist(), "label": np.where(x + rng.logistic(size=count) > 0, "yes", "no").tolist()}


def tagged(seed: int = 0, count: int = 200) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return {"x": x.tolist(), "tags": [["p"] * int(v > 0) + ["q"] * int(v + rng.normal() > 0) for v in x]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("edges") / "m"
    plait.fit(table(), "label", calibration=0.4, epochs=2, set=SET, output=place)
    return place


@pytest.fixture(scope="module")
def tagger() -> Any:
    return plait.fit(tagged(), "tags", task="multilabel", epochs=3, set=SET)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["scores"].pop("aps"), "scores are"),
        (lambda v: v["scores"]["lac"].__setitem__(0, float("nan")), r"scores\.lac"),
        (lambda v: v["scores"]["lac"].__setitem__(0, "0.5"), r"scores\.lac"),
        (lambda v: v["scores"].update(lac=[-5.0] * len(v["pattern"])), r"scores\.lac holds a number below 0"),
        (lambda v: v["pattern"].__setitem__(0, 0.7), "pattern is"),
        (lambda v: v.update(pattern=[[0]] * len(v["pattern"])), "pattern is"),
        (lambda v: v.update(patterns=[[True], [True]]), "patterns is"),
        (lambda v: v["class"].__setitem__(0, 1.5), "class is"),
        (lambda v: v.update(calibrator={"name": "temperature", "temperature": -1.0}), r"calibrator\.temperature is -1"),
        (lambda v: v.update(calibrator={"name": "temperature", "temperature": "2"}), r"calibrator\.temperature is '2'"),
        (lambda v: v.update(calibrator={"name": "vector", "factors": [1.0], "offsets": [0.0]}), "of 1 classes"),
        (lambda v: v.update(calibrator={"name": "isotonic", "at": [1.0, 0.0], "proba": [0.1, 0.2]}), "rising"),
        (lambda v: v.update(thresholds=[0.5, 0.5]), "2 thresholds"),
        (lambda v: v.update(facts=[1]), "facts is"),
    ],
)
def test_a_value_that_no_calibration_writes_is_refused(
    change: Callable[[Any], Any], words: str, folder: Path, tmp_path: Path
) -> None:
    plait.load(folder).save(tmp_path / "m")
    edit(tmp_path / "m" / "calibration.json", change)
    rewritten(tmp_path / "m")
    with pytest.raises(ValueError, match=rf"calibration\.json: .*{words}"):
        plait.load(tmp_path / "m")


def test_every_verb_gives_the_same_calibrated_probabilities() -> None:
    model = plait.fit(table(), "label", calibration=0.4, epochs=2, set=SET)
    model.calibrate(table(seed=3))
    assert model.calibration is not None and model.calibration.calibrator is not None
    fresh = table(seed=4)
    found, proba = model.predict(fresh), model.predict_proba(fresh)
    for place, name in enumerate(model.labels.classes):
        assert np.array_equal(found[f"probability_{name}"].to_numpy(), proba[:, place])


def test_a_label_that_training_did_not_have_is_covered_by_no_set(tagger: Any) -> None:
    known, some = tagged(seed=5), tagged(seed=5)
    some["tags"] = [[*tags, "new"] if i % 2 else tags for i, tags in enumerate(some["tags"])]
    assert not any("did not have" in note for note in tagger.calibrate(known)["notes"])
    fresh = tagged(seed=6)
    before = sum(map(len, tagger.predict(fresh, coverage=0.8)["set"].to_pylist()))
    told = tagger.calibrate(some)["notes"]
    assert any("100 of 200 calibration rows are of classes or labels that training did not have" in n for n in told)
    assert sum(map(len, tagger.predict(fresh, coverage=0.8)["set"].to_pylist())) == 400 > before
    levels = tagger.evaluate(some, trust=True)["evaluation"]["trust"]["conformal"]["levels"]
    assert [level["covered"]["value"] for level in levels] == [0.5] * 3


def test_an_interrupted_calibration_leaves_the_one_that_was_there(folder: Path) -> None:
    model = plait.load(folder)
    before, labels = model.calibration, model.labels

    def stop(done: int, total: int, what: str) -> None:
        if what == "calibrating":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.calibrate(table(seed=8), progress=stop)
    assert model.calibration is before and model.labels is labels


@pytest.mark.parametrize("given", [{"coverage": "0.9"}, {"coverage": True}, {"abstain_above": "x"}])
def test_what_is_no_number_is_refused_in_words(given: dict[str, Any], folder: Path) -> None:
    with pytest.raises(ValueError, match="expected a"):
        plait.load(folder).predict(table(count=2), **given)


def test_rows_that_calibrate_nothing_are_counted(folder: Path) -> None:
    given = table(seed=10, count=60)
    given["label"][::2] = [None] * 30
    given["x"][1] = float("inf")
    found = plait.load(folder).calibrate(given, on_bad_row="missing")
    assert found["rows"] == 30
    told = " / ".join(found["notes"])
    assert "1 cell cannot be used and count as missing; row 1, column 'x'" in told.replace("counts", "count")
    assert "30 cells cannot be used and are left out with their rows; row 0, column 'label'" in told


def test_few_rows_say_that_all_of_them_score(folder: Path) -> None:
    found = plait.load(folder).calibrate(table(seed=9, count=30))
    assert found["why"] == "30 rows for calibration are too few to tune on (at least 60), so all of them score"
