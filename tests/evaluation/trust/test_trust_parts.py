"""The trust report of small models: planted flips are found, a model of one modality notices nothing, parts that do not
apply say why, and the page shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import QUICK


def numbers(count: int = 240, seed: int = 0) -> dict[str, list[Any]]:
    """Two groups of numbers that tell the class, three of one hundred labels flipped; a column that says nothing."""
    draw = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    flipped = np.zeros(count, dtype=bool)
    flipped[draw.choice(count, round(0.05 * count), replace=False)] = True
    return {
        "size": [float(x) for x in draw.normal(truth * 4.0, 0.7)],
        "words": [f"{'sunny warm' if t else 'rainy cold'} number{i}" for i, t in enumerate(truth)],
        "label": [f"c{int(t) ^ int(f)}" for t, f in zip(truth, flipped, strict=True)],
        "flipped": [bool(f) for f in flipped],
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[bool], str]:
    rows = numbers()
    flipped = rows.pop("flipped")
    page = tmp_path_factory.mktemp("trust") / "report.html"
    fitted = plait.fit(rows, "label", set=[*QUICK, "train.epochs=3"], text="words")
    made = fitted.evaluate(rows, trust=True, report=page)
    return made["evaluation"]["trust"], flipped, page.read_text("utf-8")


def test_planted_flips_are_found(report: Any) -> None:
    found, flipped, _ = report
    part = found["label_errors"]
    rows = part["candidate_rows"]
    assert part["rows"] == 240 and part["num_candidates"] == len(rows) > 0
    assert np.mean([flipped[row] for row in rows]) >= 0.8
    named = [*rows, *part["doubtful_rows"]]
    assert sum(flipped[row] for row in named) >= 0.4 * sum(flipped)  # the trained text encoder learned some by heart
    assert part["candidates"][0]["inputs"] and part["noise"] == pytest.approx(0.05, abs=0.03)


def test_damage_and_mismatch_are_measured(report: Any) -> None:
    found, _, _ = report
    curves = found["robustness"]["curves"]
    assert {c["modality"] for c in curves} == {"words", "tabular"}
    assert {len(c["scores"]) for c in curves} == {4} and len({c["scores"][0] for c in curves}) == 1
    names = {m["modality"] for m in found["mismatch"]["modalities"]}
    assert names == {"words", "tabular"}


def test_curves_carry_paired_intervals(report: Any) -> None:
    found, _, page = report
    part = found["robustness"]
    for curve in part["curves"]:
        for score, (low, high) in zip(curve["scores"], curve["intervals"], strict=True):
            assert 0 <= low <= score <= high <= 1
        assert curve["changes"][0] == {"value": 0.0, "low": 0.0, "high": 0.0}  # of the same rows in every draw
        assert [c["value"] for c in curve["changes"]] == pytest.approx([s - part["clean"] for s in curve["scores"]])
        low, high = curve["relative_interval"]
        assert low <= curve["relative"] <= high
    still = next(c for c in part["curves"] if c["corruption"] == "text_case")
    if still["scores"] == [part["clean"]] * 4:
        assert still["changes"][-1]["low"] == still["changes"][-1]["high"] == 0.0
    assert "Change at the last" in page and "95% interval" in part["sentence"]


def test_intervals_are_those_of_the_bootstrap_over_rows() -> None:
    from types import SimpleNamespace

    from plait.evaluation.trust.robustness import RESAMPLES, _Rows
    from plait.metrics.intervals import paired_difference
    from plait.tasks import TASKS, LabelState

    target = np.arange(40) % 2
    sure = np.stack([1 - target, target], axis=1) * 0.8 + 0.1
    rows = _Rows.__new__(_Rows)
    rows.inputs, rows.right = SimpleNamespace(seed=3), {}  # type: ignore[assignment]
    rows.given = SimpleNamespace(  # type: ignore[assignment]
        task=TASKS.get("classification"),
        target=target,
        positions=np.arange(40),
        group=None,
        labels=LabelState(classes=["no", "yes"]),
    )
    worse = sure.copy()
    worse[:12] = sure[:12, ::-1]
    (curve,) = rows.curves([[{"fused": sure}, {"fused": sure}, {"fused": worse}, {"fused": worse}]])
    assert curve["scores"] == [1.0, 1.0, 0.7, 0.7] and curve["intervals"][0][0] == pytest.approx(0.912, abs=0.001)
    value, low, high = paired_difference(np.arange(40) >= 12, np.ones(40), resamples=RESAMPLES, seed=3)
    last = curve["changes"][-1]
    assert last["value"] == pytest.approx(value) == pytest.approx(-0.3)
    assert (last["low"], last["high"]) == pytest.approx((low, high), abs=0.05)
    assert curve["relative_interval"][0] < curve["relative"] < curve["relative_interval"][1] < 1
    rows.given.task = replace(rows.given.task, primary="balanced_accuracy")  # no mean over rows, and the same value
    (other,) = rows.curves([[{"fused": sure}, {"fused": sure}, {"fused": worse}, {"fused": worse}]])
    assert other["scores"] == pytest.approx(curve["scores"]) and not rows.right[id(sure)]
    rows.given.task = TASKS.get("classification")
    (again,) = rows.curves([[{"fused": sure}, {"fused": sure}, {"fused": worse}, {"fused": worse}]])
    assert again == curve


def test_every_part_stands_there_and_on_the_page(report: Any) -> None:
    found, _, page = report
    assert {"duplicates", "label_errors", "slices", "robustness", "mismatch", "ood"} <= set(found)
    of_records = [part for part in found.values() if "title" in part]
    assert len(of_records) >= 5
    for part in of_records:
        assert part["sentence"] if part["applicable"] else part["why"]
        assert part["title"] in page


def test_what_does_not_apply_says_why() -> None:
    rows = numbers(120)
    rows = {"size": rows["size"], "price": [2 * x + 1 for x in rows["size"]]}
    fitted = plait.fit(rows, "price", set=[*QUICK, "train.epochs=1"])
    found = fitted.evaluate(rows, trust=True)["evaluation"]["trust"]
    assert not found["label_errors"]["applicable"] and "predicts a number" in found["label_errors"]["why"]
    assert not found["mismatch"]["applicable"] and "one modality" in found["mismatch"]["why"]
    assert found["slices"]["applicable"] and found["robustness"]["applicable"]


def test_large_numbers_are_said_in_full() -> None:
    from plait.evaluation.trust.mismatch import _sentence as mismatch
    from plait.evaluation.trust.robustness import _sentence as robustness

    swapped = {"modality": "photo", "own": 123456.0, "other": 134567.0, "auroc": None}
    assert mismatch("rmse", [swapped]) == "With another row's photo, rmse goes from 123,456 to 134,567."
    curve = {"modality": "photo", "corruption": "image_blur", "scores": [123456.0, 130000.0, 131000.0, 140000.0]}
    assert robustness("rmse", [curve], False) == (
        "Of 1 corruption, blur of photo costs most: rmse 123,456 undamaged, 130,000 at severity 1, 140,000 at "
        "severity 5."
    )
    curve["changes"] = [{"value": 16544.0, "low": 9000.0, "high": 21000.0}]
    assert robustness("rmse", [curve], False).endswith("5 (change +16,544, 95% interval +9,000 to +21,000).")
    curve["changes"] = [{"value": -0.1, "low": -0.3, "high": 0.0}]
    assert robustness("rmse", [curve], False).endswith("to 0.000, which chance may explain).")


def test_what_no_answering_model_reads_is_not_damaged_and_is_warned_of(tmp_path: Any) -> None:
    draw = np.random.default_rng(0)
    size = draw.uniform(-1, 1, 240)
    rows: dict[str, list[Any]] = {
        "size": size.tolist(), "words": [f"word{int(w)} word{int(v)}" for w, v in draw.integers(0, 40, (240, 2))],
        "price": (100 * np.sign(np.sin(7 * size)) + size).tolist(),
    }  # fmt: skip
    how = ["ensemble.members=[trees]", "ensemble.folds=1", *QUICK, "train.epochs=1"]
    fitted = plait.fit(rows, "price", text="words", preset="default", set=how)
    fused, trees = (f.uses for f in fitted.ensemble.facts)
    assert set(trees) == {"tabular"} and set(fused) == {"words", "tabular"}
    assert fitted.ensemble.weights_PK[0].tolist() == [0, 1]  # a network of one epoch has no say here
    made = fitted.evaluate(rows, trust=True, report=tmp_path / "page.html")
    found = made["evaluation"]["trust"]
    part = found["robustness"]
    assert {c["modality"] for c in part["curves"]} == {"tabular"}
    assert "Not damaged, for no model that answers these rows reads it: words." in part["notes"]
    unread = {m["modality"]: m["unread"] for m in found["mismatch"]["modalities"]}
    assert unread == {"words": True, "tabular": False}
    assert found["mismatch"]["sentence"].startswith("With another row's words nothing changes: the model")
    assert {c["code"]: c["severity"] for c in json.loads((tmp_path / "page.json").read_text("utf-8"))["checks"]}[
        "T009"
    ] == "warning"
