"""Retrieval with sides that stand alone: what has no partner in the table teaches canonical towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait

SET = ["train.threads=1", "fusion.width=48"]


def sides(rows: int, seed: int) -> tuple[list[list[float]], list[list[float]]]:
    """Two sides that share in which of twelve places a row lies, and a little besides."""
    rng, draw = np.random.default_rng(3), np.random.default_rng(seed)
    places, left, right = rng.normal(size=(12, 6)), rng.normal(size=(6, 40)), rng.normal(size=(6, 30))
    hidden = places[draw.integers(12, size=rows)] + 0.3 * draw.normal(size=(rows, 6))
    x, y = hidden @ left + 2 * draw.normal(size=(rows, 40)), hidden @ right + 2 * draw.normal(size=(rows, 30))
    return x.round(4).tolist(), y.round(4).tolist()


def pairs(train: int = 80, others: int = 60) -> dict[str, Any]:
    x, y = sides(train + 2 * others, 0)
    return {"x": x, "y": y, "split": ["train"] * train + ["val"] * others + ["test"] * others}


def alone(count: int = 300) -> dict[str, Any]:
    """No two of these belong together."""
    x, y = sides(count, 1)[0], sides(count, 2)[1]
    return {"x": [*x, *[None] * count], "y": [*[None] * count, *y]}


def fit(table: Any, **options: Any) -> plait.Predictor:
    more = options.pop("set", [])
    return plait.fit(
        table, task="retrieval", vector=["x", "y"], split="split", epochs=3, set=[*SET, *more], **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def taught() -> plait.Predictor:
    return fit(pairs(), unlabelled=alone())


def rate(model: plait.Predictor) -> float:
    found = model.report["evaluation"]["directions"]
    return float(np.mean([d["metrics"][f"hit_rate@{k}"]["value"] for d in found for k in (1, 5, 10)]))


def test_sides_that_stand_alone_teach_and_are_told(taught: plait.Predictor) -> None:
    told = taught.report["unlabelled"]
    assert (told["method"], told["rows"], told["kept"]) == ("transport", 600, "with unlabelled rows")
    assert told["guard"]["sentence"].startswith("held-out training pairs find each other more often with the sides")
    assert taught.settings.semi.method == "transport"
    assert rate(taught) > rate(fit(pairs()))


def test_what_was_taught_is_in_the_folder(taught: plait.Predictor, tmp_path: Path) -> None:
    taught.save(tmp_path / "model")
    again, table = plait.Plait.load(tmp_path / "model"), pairs()
    for side in ("x", "y"):
        np.testing.assert_array_equal(again.embed(table, side)[0], taught.embed(table, side)[0])


def test_rows_of_validation_and_test_do_not_teach() -> None:
    table, others = pairs(), alone(40)
    others["x"][0], others["y"][40] = table["x"][90], table["y"][170]  # one side each of a val and of a test row
    told = fit(table, unlabelled=others).report["unlabelled"]
    assert told["rows"] == 78
    assert any("2 unlabelled rows left out: show what a validation" in s for s in told["sentences"])


def test_pairs_of_a_second_table_are_taken_apart() -> None:
    """Their sides teach one by one; what stands beside a side is not used, for nobody said that it belongs there."""
    x, y = sides(200, 1)
    straight = fit(pairs(), unlabelled={"x": x, "y": y})
    order = np.random.default_rng(0).permutation(200)
    crossed = fit(pairs(), unlabelled={"x": x, "y": [y[i] for i in order]})
    np.testing.assert_allclose(crossed.embed(pairs(), "y")[0], straight.embed(pairs(), "y")[0], atol=1e-3)


def test_where_nothing_can_be_taught_it_is_refused() -> None:
    for one in ("fusion.options={copies: 1}", "fusion.options={copies: 2}", "train.auxiliary=0.1"):
        options = {"set": [one]}
        with pytest.raises(ValueError, match="semi='transport' teaches the canonical towers of two modalities"):
            fit(pairs(), unlabelled=alone(30), **options)
    with pytest.raises(ValueError, match="semi='self_training' does not go with task retrieval; type semi='transport'"):
        fit(pairs(), unlabelled=alone(30), semi="self_training")
    number = {"a": [float(i) for i in range(30)], "b": [float(i * i) for i in range(30)]}
    with pytest.raises(ValueError, match="semi='transport' does not go with task regression"):
        plait.fit(number, "b", unlabelled={"a": [0.5]}, semi="transport")


def test_the_same_seed_gives_the_same_model(taught: plait.Predictor) -> None:
    again = fit(pairs(), unlabelled=alone())
    np.testing.assert_array_equal(again.embed(pairs(), "x")[0], taught.embed(pairs(), "x")[0])


def test_lone_sides_that_are_left_out_change_nothing() -> None:
    """Noise of another kind helps no held-out pair: the model is the one without these rows, bit for bit."""
    draw = np.random.default_rng(9)
    noise = {
        "x": [*draw.normal(size=(60, 40)).round(3).tolist(), *[None] * 60],
        "y": [*[None] * 60, *draw.normal(size=(60, 30)).round(3).tolist()],
    }
    left_out, plain = fit(pairs(), unlabelled=noise), fit(pairs())
    told = left_out.report["unlabelled"]
    assert told["kept"] == "supervised" and "are left out" in told["guard"]["sentence"]
    for side in ("x", "y"):
        np.testing.assert_array_equal(left_out.embed(pairs(), side)[0], plain.embed(pairs(), side)[0])


@pytest.mark.parametrize(
    ("table", "others", "said"),
    [
        (
            pairs(),
            {"x": sides(40, 1)[0], "y": [None] * 40},
            "40 sides of one kind and 0 sides of the other teach nothing",
        ),
        (pairs(), {"x": [sides(1, 1)[0][0], None], "y": [None, sides(1, 2)[1][0]]}, "20 of each are needed"),
        (pairs(12, 12), alone(30), "no canonical towers to teach"),
    ],
)
def test_what_was_not_tried_is_not_said_to_have_failed(table: Any, others: Any, said: str) -> None:
    told = fit(table, unlabelled=others).report["unlabelled"]
    assert told["kept"] == "supervised" and said in told["guard"]["sentence"]


def test_canonical_is_true_or_false() -> None:
    with pytest.raises(ValueError, match="fusion.options canonical is 'no'; type true"):
        fit(pairs(), set=["fusion.options={canonical: 'no'}"])
    for none in ("{canonical: false}", "{copies: 1, canonical: null}"):  # the second is what a comparison says to type
        made = fit(pairs(), set=[f"fusion.options={none}", "fusion.width=32"])
        assert made.model.fusion.canonical is None
