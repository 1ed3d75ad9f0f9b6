"""The verdict says better, worse, undecided or chance exactly when the intervals say so."""

from __future__ import annotations

import pytest

from plait.metrics import fusion_verdict

ALONE = {"text": 0.8, "photo": 0.6}


def verdict(**changes: object) -> str:
    given: dict[str, object] = {
        "metric_name": "accuracy",
        "higher_is_better": True,
        "fused": (0.9, 0.88, 0.92),
        "alone": ALONE,
        "difference": ("text", 0.1, 0.07, 0.13),
        "interaction": "multiplicative",
        "pairs": False,
        "head_is_linear": False,
    }
    return fusion_verdict(**{**given, **changes})  # type: ignore[arg-type]


def test_better_names_every_number() -> None:
    assert verdict() == (
        "Using the modalities together is clearly better than the best one alone: accuracy 0.900 (95%"
        " interval 0.880 to 0.920) against 0.800 for text, a difference of +0.100 (+0.070 to +0.130)."
    )


def test_undecided_and_worse() -> None:
    assert "not distinguishable" in verdict(difference=("text", 0.01, -0.01, 0.03))
    assert "clearly worse" in verdict(difference=("text", -0.1, -0.13, -0.07))
    assert "too few rows" in verdict(difference=("text", 0.1, None, None))


def test_direction_of_an_error_metric() -> None:
    error = {
        "metric_name": "mae",
        "higher_is_better": False,
        "fused": (9.0, 8.0, 10.0),
        "alone": {"a": 12.0, "b": 20.0},
    }
    assert "clearly better" in verdict(**error, difference=("a", -3.0, -4.0, -2.0))
    assert "clearly worse" in verdict(**error, difference=("a", 3.0, 2.0, 4.0))
    assert "cannot be told from chance" in verdict(**error, difference=("a", -3.0, -4.0, -2.0), chance=9.5)


def test_chance() -> None:
    at_chance = verdict(pairs=True, fused=(0.51, 0.48, 0.54), difference=("text", 0.01, -0.01, 0.03))
    assert at_chance.startswith("The model cannot be told from chance") and "guessing gets 0.500" in at_chance
    assert "cannot be told" in verdict(metric_name="auroc", fused=(0.52, 0.45, 0.6))
    assert "cannot be told" in verdict(metric_name="r2", fused=(-0.2, -0.4, 0.0))
    assert "cannot be told" not in verdict(fused=(0.51, 0.48, 0.54))  # chance is not known here


def test_additive_with_a_linear_head_cannot_see_interactions() -> None:
    said = verdict(interaction="additive", head_is_linear=True, pairs=True, fused=(0.5, 0.47, 0.53))
    assert "cannot see interactions between the modalities" in said and "stays at chance" in said
    assert "cannot see interactions" in verdict(interaction="additive", head_is_linear=True)
    assert "interactions" not in verdict(interaction="additive", head_is_linear=False)
    assert "interactions" not in verdict(interaction="attention", head_is_linear=True)


def test_one_modality_or_none_measured() -> None:
    one = verdict(alone={"text": 0.9}, difference=("text", 0.0, 0.0, 0.0), interaction="additive", head_is_linear=True)
    assert one.startswith("The model has one modality, text") and "interactions" not in one
    assert "is not known" in verdict(alone={}, difference=None)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="additive, multiplicative, attention"):
        verdict(interaction="magic")
    with pytest.raises(ValueError, match="expected one of: text, photo"):
        verdict(difference=("sound", 0.1, 0.0, 0.2))
