"""Calibration from ``plait.fit`` to predictions: rows kept apart, sets, intervals, abstention, folders, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import plait
from fixtures.settings import QUICK

SET = [*QUICK, "judge.missing_rows=0"]
PARTS = np.array(["train"] * 6 + ["val"] + ["calibration"] * 6 + ["test"] * 3)


def table(seed: int = 0, count: int = 480) -> dict[str, list[Any]]:
    """A number, often missing, and two more in a vector, that tell a class, a number and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3))
    gone = rng.random(count) < 0.3
    score = 2 * x[:, 0] + 2 * x[:, 1]
    label = np.where(score + rng.logistic(size=count) > 0, "yes", "no")
    return {
        "a": [None if g else float(v) for v, g in zip(x[:, 0], gone, strict=True)],
        "v": [list(map(float, row)) for row in x[:, 1:]],
        "split": PARTS[np.arange(count) % len(PARTS)].tolist(),
        "label": label.tolist(),
        "price": (score + (1 + np.abs(score)) * rng.normal(size=count) / 2).tolist(),
        "tags": [
            ";".join(n for n, s in zip("pq", row, strict=True) if s + rng.normal() > 0) or "[]" for row in x[:, :2]
        ],
    }


def fitted(target: str, *more: str, **options: Any) -> Any:
    columns = table()
    ignore = [name for name in ("label", "price", "tags") if name != target]
    return plait.fit(
        columns, target, split="split", vector="v", ignore=ignore, epochs=3, set=[*SET, *more], **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("calibrated") / "m"
    return fitted("label", output=folder), folder


@pytest.fixture(scope="module")
def uncalibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without calibration rows: they were left out of its table."""
    folder = tmp_path_factory.mktemp("plain") / "m"
    columns = table()
    kept = [i for i, part in enumerate(columns["split"]) if part != "calibration"]
    rows = {name: [cells[i] for i in kept] for name, cells in columns.items()}
    plait.fit(
        rows, "label", split="split", vector="v", ignore=["price", "tags"], epochs=3, set=SET, output=folder
    )  # fmt: skip
    return folder


def test_calibration_rows_train_nothing_and_are_counted(classes: tuple[Any, Path]) -> None:
    model, _ = classes
    assert model.report["splits"] == {"train": 180, "val": 30, "test": 90, "calibration": 180}
    facts = model.calibration.facts
    assert (facts["rows"], facts["tuning_rows"], facts["scoring_rows"]) == (180, 60, 120)
    notes = model.report["evaluation"]["notes"]
    assert any("180 rows are marked calibration and trained nothing" in note for note in notes)
    trust = model.report["evaluation"]["trust"]
    assert set(trust["calibration"]["metrics"]) == {"ece", "ece_equal_mass", "brier", "log_loss", "classwise_ece"}
    nine = next(p for p in trust["conformal"]["levels"] if (p["coverage"], p["method"]) == (0.9, "lac"))
    assert 0.75 < nine["covered"]["value"] <= 1 and {p["present"] for p in nine["patterns"]} == {"v", "a + v"} or nine
    assert trust["selective"]["aurc"]["value"] < trust["selective"]["everything"]


def test_sets_hold_the_truth_as_often_as_promised(classes: tuple[Any, Path]) -> None:
    """Over ten calibration tables: one draw of 120 scoring rows, of two patterns, has a standard deviation of .04."""
    _, folder = classes
    model, fresh = plait.load(folder), table(seed=5, count=1500)

    def covered(coverage: float) -> float:
        found = model.predict(fresh, coverage=coverage)
        assert found["problem"].null_count == len(fresh["label"])
        return float(np.mean([t in s for t, s in zip(fresh["label"], found["set"].to_pylist(), strict=True)]))

    shares = []
    for seed in range(10):
        model.calibrate({k: v for k, v in table(seed=100 + seed, count=180).items() if k != "split"}, rows="all")
        shares.append([covered(0.8), covered(0.9)])
    mean, deviation = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1)
    assert mean == pytest.approx([0.8, 0.9], abs=0.035) and (deviation < 0.07).all()
    sizes = [np.mean([len(s) for s in model.predict(fresh, coverage=c)["set"].to_pylist()]) for c in (0.8, 0.95)]
    assert sizes[0] < sizes[1]


def test_what_is_loaded_answers_bit_for_bit(classes: tuple[Any, Path]) -> None:
    model, folder = classes
    fresh = table(seed=6, count=60)
    again = plait.load(folder)
    for options in ({"coverage": 0.9}, {"coverage": 0.8, "method": "class"}, {"abstain_above": 0.2}):
        assert again.predict(fresh, **options).equals(model.predict(fresh, **options))
    assert np.array_equal(again.predict_proba(fresh), model.predict_proba(fresh))
    assert "calibration.json" in json.loads((folder / "manifest.json").read_text())["files"]


def test_unsure_answers_are_withheld_with_their_reason(classes: tuple[Any, Path]) -> None:
    model, _ = classes
    fresh = table(seed=7, count=200)
    plain, found = model.predict(fresh).to_pylist(), model.predict(fresh, abstain_above=0.25).to_pylist()
    withheld = [r for r in found if r["prediction"] is None]
    assert 0 < len(withheld) < 200
    for row, before in zip(found, plain, strict=True):
        assert row["risk"] == pytest.approx(1 - before["probability"])
        assert (row["prediction"] is None) == (row["risk"] > 0.25) == (row["abstained"] is not None)
        assert row["prediction"] in (None, before["prediction"])
    assert withheld[0]["abstained"].endswith("is above 0.25") and withheld[0]["probability"] is None
    wrong = [b["prediction"] != t for b, t in zip(plain, fresh["label"], strict=True)]
    kept = [w for w, r in zip(wrong, found, strict=True) if r["prediction"] is not None]
    assert np.mean(kept) < np.mean(wrong)


def test_a_pattern_that_was_never_calibrated_is_a_problem(classes: tuple[Any, Path]) -> None:
    model, _ = classes
    found = model.predict({"a": [1.0, 1.0], "v": [None, [1.0, 1.0]]}, coverage=0.9).to_pylist()
    assert found[0]["set"] is None and "no coverage is promised" in found[0]["problem"]
    assert found[0]["prediction"] in ("yes", "no") and found[1]["problem"] is None


def test_an_existing_model_is_calibrated_on_rows_it_has_not_seen(uncalibrated: Path, tmp_path: Path) -> None:
    model = plait.load(uncalibrated)
    with pytest.raises(ValueError, match=r"coverage= rests on calibration rows, and this model has none: .*calibrate"):
        model.predict(table(), coverage=0.9)
    fresh = {name: cells for name, cells in table(seed=9, count=200).items() if name != "split"}
    found = plait.calibrate(uncalibrated, fresh, output=tmp_path / "new")
    assert (found["rows"], found["split"]) == (200, "all") and found["notes"] == []
    made = plait.load(tmp_path / "new")
    with pytest.warns(UserWarning, match="of 200 predicted rows.* 200 calibrated it: no coverage"):
        rows = made.predict(fresh, coverage=0.9)
    assert rows["set"].null_count == 0 and plait.load(uncalibrated).calibration is None
    judged = made.evaluate(fresh, trust=True)
    assert any("calibrated the model" in note for note in judged["evaluation"]["notes"])
    again = made.calibrate(fresh)  # a second time: from the raw answers, to the same
    assert again["calibrator"] == found["calibrator"]
    with pytest.warns(UserWarning, match="200 calibrated it"):
        assert made.predict(fresh, coverage=0.9).equals(rows)


def test_rows_that_trained_it_are_refused(uncalibrated: Path) -> None:
    columns = table()
    kept = [i for i, part in enumerate(columns["split"]) if part != "calibration"]
    rows = {name: [cells[i] for i in kept] for name, cells in columns.items()}
    model = plait.load(uncalibrated)
    with pytest.raises(ValueError, match=r"210 of 300 rows of .* trained the model or chose its epoch: .*rows='test'"):
        model.calibrate(rows)
    with pytest.raises(ValueError, match="trained the model or chose its epoch"):
        model.calibrate(rows, rows="train")
    assert model.calibration is None
    assert model.calibrate(rows, rows="test")["rows"] == 90
    marked = {**table(seed=3, count=60), "split": ["train"] * 60}
    with pytest.raises(ValueError, match="60 of 60 rows of .* are marked train or val in column 'split'"):
        model.calibrate(marked)


def test_intervals_of_a_number(tmp_path: Path) -> None:
    model = fitted("price", output=tmp_path / "m")
    fresh = table(seed=11, count=800)
    found = model.predict(fresh, coverage=0.9)
    low, high = (np.array(found[name].to_pylist()) for name in ("low", "high"))
    truth = np.array(fresh["price"])
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.9, abs=0.1) and (low <= high).all()
    assert plait.load(tmp_path / "m").predict(fresh, coverage=0.9).equals(found)
    assert model.report["evaluation"]["trust"]["calibration"]["applicable"] is False
    with pytest.raises(ValueError, match="240 calibration rows"):
        model.predict(fresh, abstain_above=0.5)
    with pytest.warns(UserWarning, match=r"coverage=0\.995 needs 199 calibration rows at least, this model has 180"):
        wide = model.predict(fresh, coverage=0.995)
    assert np.isinf(np.array(wide["high"].to_pylist())).all()


def test_a_set_of_labels_holds_all_labels_of_the_row() -> None:
    model = fitted("tags", task="multilabel")
    fresh = table(seed=12, count=800)
    sets = model.predict(fresh, coverage=0.8)["set"].to_pylist()
    truths = [[] if t == "[]" else t.split(";") for t in fresh["tags"]]
    share = np.mean([set(truth) <= set(inside) for truth, inside in zip(truths, sets, strict=True)])
    assert 0.68 < share < 1
    assert model.predict(fresh, abstain_above=0.0)["prediction"].null_count == len(truths)


def test_an_ensemble_is_calibrated_too(tmp_path: Path) -> None:
    columns = {name: cells for name, cells in table(count=320).items() if name not in ("split", "price", "tags")}
    made = plait.fit(
        columns, "label", vector="v", calibration=0.4, set=[*SET, "ensemble.members=[linear]", "ensemble.folds=1"],
        epochs=2, output=tmp_path / "m",
    )  # fmt: skip
    assert made.ensemble is not None and made.report["splits"]["calibration"] == 128
    fresh = table(seed=13, count=400)
    found = made.predict(fresh, coverage=0.9)
    assert plait.load(tmp_path / "m").predict(fresh, coverage=0.9).equals(found)
    share = np.mean([t in s for t, s in zip(fresh["label"], found["set"].to_pylist(), strict=True)])
    assert abs(share - 0.9) < 0.15


def test_what_cannot_be_asked_for_is_told_at_once(classes: tuple[Any, Path]) -> None:
    model, _ = classes
    fresh = table(count=3)
    for options, words in (
        ({"coverage": 1.5}, "coverage is 1.5; expected a number between 0 and 1"),
        ({"method": "lac"}, "type coverage=0.9 too"),
        ({"coverage": 0.9, "method": "split"}, "unknown method 'split'"),
        ({"abstain_above": -1}, "expected a risk of 0 or more"),
    ):
        with pytest.raises(ValueError, match=words.replace(".", r"\.")):
            model.predict(fresh, **options)
    text = {"text": ["a b"] * 20, "image": ["c d"] * 20}
    with pytest.raises(ValueError, match=r"calibration=0\.1 keeps rows for probabilities"):
        plait.fit(text, task="retrieval", text=["text", "image"], calibration=0.1, set=SET)


def test_a_damaged_calibration_is_named(classes: tuple[Any, Path], tmp_path: Path) -> None:
    from fixtures.small_model import edit, rewritten

    model, _ = classes
    model.save(tmp_path / "m")
    edit(tmp_path / "m" / "calibration.json", lambda v: v["scores"]["lac"].pop())
    rewritten(tmp_path / "m")
    with pytest.raises(ValueError, match=r"calibration\.json.*different lengths"):
        plait.load(tmp_path / "m")


def test_sets_are_lists_in_files(classes: tuple[Any, Path], tmp_path: Path) -> None:
    from plait.api import PredictionFile

    model, _ = classes
    found = model.predict(table(seed=2, count=20), coverage=0.9)
    assert pa.types.is_list(found.schema.field("set").type)
    for name in ("a.csv", "a.jsonl"):
        PredictionFile(tmp_path / name).write([found])
    first = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert first["set"] == found["set"].to_pylist()[0]
