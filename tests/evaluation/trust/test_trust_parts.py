"""The trust report of small models: planted flips are found, a model of one modality notices nothing, parts that do not
apply say why, and the page shows it."""

from __future__ import annotations

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
