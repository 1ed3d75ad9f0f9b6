"""Thresholds from ``plait.fit`` to a loaded folder: validation rows tune them, answers and metrics follow them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait


def table(seed: int = 0, count: int = 360) -> dict[str, list[Any]]:
    """Three rare labels, each told a little by one number, and a rare class."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3))
    y = rng.random(x.shape) < 1 / (1 + np.exp(2.0 - 1.2 * x))
    split = np.array(["train", "val", "test"])[np.arange(count) % 3]
    return {
        **{f"n{c}": x[:, c].tolist() for c in range(3)},
        "labels": [";".join(n for n, there in zip("abc", row, strict=True) if there) or "[]" for row in y],
        "rare": ["yes" if row[0] else "no" for row in y],
        "split": split.tolist(),
    }


def fitted(columns: dict[str, list[Any]], target: str, *more: str, **options: Any) -> Any:
    other = "rare" if target == "labels" else "labels"
    return plait.fit(
        columns, target, split="split", ignore=other, epochs=6, preset="single",
        set=["train.baselines=false", *more], **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("thresholds") / "m"
    return fitted(table(), "labels", task="multilabel", output=folder), folder


def test_labels_are_answered_at_their_thresholds(tuned: tuple[Any, Path]) -> None:
    model, folder = tuned
    limits = model.labels.thresholds
    assert len(limits) == 3 and max(limits) < 0.5
    assert json.loads((folder / "labels.json").read_text())["thresholds"] == list(limits)
    fresh = table(seed=1)
    proba, answers = model.predict_proba(fresh), model.predict(fresh)["prediction"].to_pylist()
    names = model.labels.classes
    assert answers == [[n for n, p, t in zip(names, row, limits, strict=True) if p >= t] for row in proba]
    assert plait.load(folder).predict(fresh)["prediction"].to_pylist() == answers
    assert model.report["evaluation"]["thresholds"] == dict(zip(names, limits, strict=True))
    assert any("task.threshold=auto" in note for note in model.report["evaluation"]["notes"])


def test_probabilities_and_their_metrics_stay(tuned: tuple[Any, Path]) -> None:
    model, _ = tuned
    plain = fitted(table(), "labels", "task.threshold=0.5", task="multilabel")
    assert plain.labels.thresholds == ()
    fresh = table(seed=1)
    np.testing.assert_array_equal(plain.predict_proba(fresh), model.predict_proba(fresh))
    ours, theirs = (m.report["evaluation"]["metrics"] for m in (model, plain))
    assert ours["mAP"] == theirs["mAP"]
    assert ours["f1_macro"]["value"] > theirs["f1_macro"]["value"] + 0.05


def test_test_rows_choose_nothing(tuned: tuple[Any, Path]) -> None:
    """Other answers in the test rows leave the thresholds alone; in the validation rows they do not."""
    model, _ = tuned

    def with_answers(part: str) -> tuple[float, ...]:
        columns = table()
        columns["labels"] = [
            "a;b;c" if s == part and i % 2 else label
            for i, (s, label) in enumerate(zip(columns["split"], columns["labels"], strict=True))
        ]
        found: tuple[float, ...] = fitted(columns, "labels", task="multilabel").labels.thresholds
        return found

    assert with_answers("test") == model.labels.thresholds
    assert with_answers("val") != model.labels.thresholds


def test_two_classes_are_answered_above_a_threshold() -> None:
    model = fitted(table(seed=5), "rare", "task.threshold_for=f1_macro")
    (limit,) = model.labels.thresholds
    assert limit < 0.5
    fresh = table(seed=1)
    found = model.predict(fresh)
    yes = np.array(found["probability_yes"].to_pylist())
    answers = np.where(yes > limit, "yes", "no")
    assert found["prediction"].to_pylist() == answers.tolist()
    assert found["probability"].to_pylist() == pytest.approx(np.where(answers == "yes", yes, 1 - yes).tolist())
    report = model.evaluate(fresh, rows="all")["evaluation"]
    right = float((answers == np.array(fresh["rare"])).mean())
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(right)
    matrix = np.array(report["confusion"]["matrix"])
    assert matrix.trace() / matrix.sum() == pytest.approx(right)
    explained = model.explain(fresh, rows="all", permutations=0, emap_evaluations=0, examples=0)
    assert explained["subsets"][-1]["metric"]["value"] == pytest.approx(right)


def three(count: int = 1200, seed: int = 0) -> dict[str, list[Any]]:
    """A rare, a less rare and a frequent class that a number tells apart badly."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, count, p=[0.1, 0.3, 0.6])
    noisy = label[:, None] + rng.normal(size=(count, 2)) * 2.0
    return {
        "a": noisy[:, 0].tolist(), "b": noisy[:, 1].tolist(),
        "label": np.array(["rare", "some", "most"])[label].tolist(),
        "split": np.array(["train", "val", "test"])[np.arange(count) % 3].tolist(),
    }  # fmt: skip


def test_many_classes_are_divided_by_thresholds_where_macro_f1_is_asked_for(tmp_path: Path) -> None:
    how = {"split": "split", "epochs": 20, "preset": "single"}
    plain = plait.fit(three(), "label", **how)
    assert plain.labels.thresholds == ()
    made = plait.fit(three(), "label", output=tmp_path / "m", set=["task.threshold_for=f1_macro"], **how)
    limits = made.labels.thresholds
    assert len(limits) == 3 and sum(limits) == pytest.approx(1.0)
    fresh = three(1500, seed=1)
    proba, names = made.predict_proba(fresh), made.labels.classes
    answers = [names[i] for i in (proba / np.array(limits)).argmax(1)]
    assert made.predict(fresh)["prediction"].to_pylist() == answers
    assert plait.load(tmp_path / "m").predict(fresh)["prediction"].to_pylist() == answers
    np.testing.assert_array_equal(proba, plain.predict_proba(fresh))
    f1 = [m.evaluate(fresh, rows="all")["evaluation"]["metrics"]["f1_macro"]["value"] for m in (plain, made)]
    assert f1[1] > f1[0] + 0.02
    assert any("times its threshold" in note for note in made.report["evaluation"]["notes"])


def test_a_fixed_threshold_is_used_as_it_is() -> None:
    model = fitted(table(), "rare", "task.threshold=0.2")
    assert model.labels.thresholds == (0.2,)


def test_folds_of_an_ensemble_tune_on_rows_that_each_model_has_not_seen() -> None:
    model = fitted(table(count=240), "labels", "ensemble.folds=2", "ensemble.members=[linear]", task="multilabel")
    assert len(model.labels.thresholds) == 3 and max(model.labels.thresholds) < 0.5


def test_what_has_no_threshold_is_refused_before_training() -> None:
    columns = table(count=60)
    columns["rare"] = [str(i // 3 % 3) for i in range(60)]
    with pytest.raises(ValueError, match=r"task\.threshold=0\.3 is for two classes.*3 classes; name what"):
        fitted(columns, "rare", "task.threshold=0.3", task="classification")
    with pytest.raises(ValueError, match=r"task\.threshold must be auto, or a number above 0 and below 1, got 2"):
        fitted(columns, "rare", "task.threshold=2")
