"""The sentence: every honest variant, from games whose numbers are chosen."""

from __future__ import annotations

from typing import Any

import pytest

from plait.metrics.modality_verdict import modality_verdict
from plait.metrics.shapley import shapley_values


def entry(value: float | None, half: float | None = 0.02) -> dict[str, float | None]:
    if value is None or half is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": value - half, "high": value + half}


def explained(game: list[float], names: str = "text photo", half: float | None = 0.02, **more: Any) -> dict[str, Any]:
    listed = names.split()
    phi = {n: entry(float(v), half) for n, v in zip(listed, shapley_values(game), strict=True)}
    over = {n: entry(game[-1] - game[1 << m], half) for m, n in enumerate(listed)}
    made = {
        "metric": {"name": "accuracy", "in_points": True}, "loss": {"name": "log_loss"}, "modalities": listed,
        "subsets": [{"metric": entry(v, half)} for v in game], "chance": 0.5, "unused": [],
        "shapley": {"metric": phi, "loss": phi}, "gains": {"metric": {"all over one alone": over}}, "emap": None,
    }  # fmt: skip
    return {**made, **more}


def emap(gap: float, half: float | None = 0.01, residual: float = 0.3) -> dict[str, Any]:
    return {"gap": entry(gap, half), "residual": residual}


def test_something_is_added_and_some_of_it_by_interaction() -> None:
    said = modality_verdict(explained([0.5, 0.7, 0.6, 0.8], emap=emap(0.03)))
    assert said == (
        "With everything the model reaches accuracy 80.0% [78.0, 82.0]: photo adds 10.0 points [8.0, 12.0] to what "
        "text alone gives it (70.0%). Interaction between the modalities is worth 3.0 points [2.0, 4.0] (EMAP)."
    )


def test_a_subsample_is_told() -> None:
    part = {**emap(0.03), "rows": 500}
    assert "(EMAP on 500 of the rows)" in modality_verdict(explained([0.5, 0.7, 0.6, 0.8], emap=part, rows=900))


def test_nothing_added_and_no_interaction_to_be_told() -> None:
    said = modality_verdict(explained([0.5, 0.7, 0.6, 0.71], emap=emap(0.005)))
    assert "photo adds nothing that can be told from zero to what text alone gives it (70.0%), +1.0 points" in said
    assert said.endswith("cannot be told from zero, +0.5 points [-0.5, 1.5] (EMAP).")


def test_harm_is_said() -> None:
    said = modality_verdict(explained([0.6, 0.8, 0.55, 0.7], emap=emap(-0.05)))
    assert "photo takes 10.0 points [8.0, 12.0] away from what text alone gives it" in said
    assert "By the log loss, photo makes the answers worse." in said
    assert "Interaction does not help" in said and "does better by 5.0 points [4.0, 6.0]" in said


def test_a_dead_modality() -> None:
    said = modality_verdict(explained([0.5, 0.7, 0.5, 0.7], unused=["photo"]))
    assert "all of it from text" in said and "The model never uses photo: no answer changes when it is absent." in said
    three = [0.5, 0.7, 0.6, 0.8] * 2
    said = modality_verdict(explained(three, "text photo sound", unused=["sound"]))
    assert "photo adds 10.0 points" in said and "never uses sound" in said
    said = modality_verdict(explained([0.7] * 4, unused=["text", "photo"]))
    assert "whatever it is given" in said and "never uses text and photo" in said


def test_several_others_and_a_weak_one() -> None:
    game = [0.5, 0.6, 0.7, 0.8, 0.505, 0.605, 0.705, 0.805]
    said = modality_verdict(explained(game, "text photo sound"))
    assert "text and sound together add 10.5 points" in said
    assert "What sound contributes cannot be told from zero." in said


def test_at_chance_one_modality_too_few_rows_undefined() -> None:
    assert "cannot be told from guessing" in modality_verdict(explained([0.5, 0.5, 0.5, 0.51]))
    assert "nothing to share out" in modality_verdict(explained([0.5, 0.9], "text"))
    assert "too few rows" in modality_verdict(explained([0.5, 0.7, 0.6, 0.8], half=None, emap=emap(0.1, None)))
    nothing = explained([0.5, 0.7, 0.6, 0.8])
    nothing["subsets"][-1]["metric"] = entry(None)
    assert "cannot be measured" in modality_verdict(nothing)


def test_additive_and_only_together() -> None:
    assert "The model is additive" in modality_verdict(explained([0.5, 0.7, 0.6, 0.8], emap=emap(0.0, 0.0, 1e-20)))
    assert "no modality alone can be told from guessing" in modality_verdict(explained([0.5, 0.5, 0.5, 0.9]))


def test_natural_units() -> None:
    said = modality_verdict(explained([0.0, 0.3, 0.2, 0.4], metric={"name": "r2", "in_points": False}, chance=0.0))
    assert "r2 0.400 [0.380, 0.420]: photo adds 0.100 r2 [0.080, 0.120]" in said and "points" not in said


@pytest.mark.parametrize("value", [0.0, -1e-9])
def test_no_minus_zero(value: float) -> None:
    assert "-0.0 " not in modality_verdict(explained([0.5, 0.7, 0.6, 0.7 + value], half=0.02))
