"""Two tables compared: no alarm where both come from one source, an alarm where one changed, and which rows it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plait


def rows(seed: int, shift: float = 0.0, share: float = 0.5, count: int = 120) -> dict[str, list[Any]]:
    draw = np.random.default_rng(seed)
    return {
        "size": [float(x) for x in draw.normal(shift, 1, count)],
        "weight": [float(x) for x in draw.gamma(2, 1, count)],
        "colour": ["red" if x < share else "blue" for x in draw.random(count)],
    }


def test_no_alarm_on_halves_of_one_source() -> None:
    alarms = [plait.drift(rows(2 * seed), rows(2 * seed + 1), seed=seed)["alarm"] for seed in range(20)]
    assert sum(alarms) <= 1


def test_an_alarm_names_the_column_that_changed() -> None:
    found = plait.drift(rows(0), rows(1, shift=1.0))
    assert found["alarm"] and "'size'" in found["sentence"]
    by_column = {(c["column"], c["test"]): c["alarm"] for c in found["columns"]}
    assert by_column["size", "ks"] and not by_column["weight", "ks"] and not by_column["colour", "chi2"]
    part = found["modalities"][0]
    assert part["alarm"] and part["classifier"]["low"] < part["classifier"]["auroc"] < part["classifier"]["high"]


def test_categories_and_gaps_are_compared() -> None:
    found = plait.drift(rows(0), rows(1, share=0.9))
    assert [c["column"] for c in found["columns"] if c["alarm"]] == ["colour"]
    gone = rows(1)
    gone["size"] = [None if i % 3 == 0 else x for i, x in enumerate(gone["size"])]
    found = plait.drift(rows(0), gone)
    assert ("size", "missing") in [(c["column"], c["test"]) for c in found["columns"] if c["alarm"]]


def test_the_foreign_rows_stand_first() -> None:
    other = rows(1)
    other["size"][7], other["weight"][33] = 40.0, 70.0
    found = plait.drift(rows(0), other)
    first = found["modalities"][0]["foreign"]
    assert {row["row"] for row in first[:2]} == {7, 33} and first[0]["share"] < 0.02


def test_texts_are_compared_by_their_features() -> None:
    draw = np.random.default_rng(0)

    def texts(words: list[str], count: int = 60) -> dict[str, list[str]]:
        return {"text": [" ".join(draw.choice(words, 8)) for _ in range(count)]}

    weather, food = "sun rain wind cloud storm snow".split(), "bread soup apple cheese rice tea".split()
    scratch = ["encoders.text=scratch:text"]
    with pytest.raises(ValueError, match="none of the columns"):
        plait.drift(texts(weather), {"title": ["a"] * 60}, set=scratch)
    found = plait.drift(texts(weather), texts(food), set=scratch)
    assert any("text has no features" in note for note in found["notes"])  # its encoder is trained in a model


def test_a_column_that_is_gone_or_cannot_be_read_is_a_change() -> None:
    gone = {name: cells for name, cells in rows(1).items() if name != "size"}
    unreadable = {**rows(1), "size": [float("inf")] * 120}
    for changed in (gone, unreadable):
        found = plait.drift(rows(0), changed)
        assert ("size", "missing") in {(c["column"], c["test"]) for c in found["columns"] if c["alarm"]}
    assert "B has no column 'size'; all its cells count as missing" in plait.drift(rows(0), gone)["notes"]


def test_a_column_that_cannot_be_read_at_all_is_an_error_and_no_calm() -> None:
    known = {**rows(0, count=40), "photo": [f"photos/{i}.jpg" for i in range(40)]}
    with pytest.raises(
        ValueError, match=r"not one cell of column 'photo' can be read in either.*row 0: .*ignore='photo'"
    ):
        plait.drift(known, known, set=["encoders.image=scratch:image"])
    assert not plait.drift(known, known, ignore=["photo"])["alarm"]


def test_what_a_model_says_cannot_be_said_beside_it() -> None:
    with pytest.raises(ValueError, match="do not go with model="):
        plait.drift(rows(0), rows(1), model="anywhere", ignore=["size"])
