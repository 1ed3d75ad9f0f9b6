"""What a report says a model is worth: numbers and sentences beside answers and hits, by hand-worked reports."""

from __future__ import annotations

from typing import Any

import pytest

from plait.report.standing import in_languages, search_note, standing


def judged(value: float, low: float, high: float, chance: float | None, name: str = "accuracy") -> dict[str, Any]:
    entry = {name: {"value": value, "low": low, "high": high}}
    return {
        "verdict": "A sentence.", "metric": {"name": name, "higher_is_better": name != "mae"},
        "evaluation": {"metrics": entry, "chance": chance, "rows": 30, "split": "test"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (judged(0.9, 0.8, 0.95, 0.6), None),
        (judged(0.7, 0.6, 0.8, 0.6), "accuracy 0.700 (0.600 to 0.800), guessing 0.600"),  # an interval that touches
        (judged(0.5, 0.333, 0.667, 0.433), "accuracy 0.500 (0.333 to 0.667), guessing 0.433"),
        (judged(2.0, 1.5, 2.5, 3.0, "mae"), None),  # an error: less is better
        (judged(2.0, 1.5, 3.5, 3.0, "mae"), "MAE 2.000 (1.500 to 3.500), guessing 3.000"),
        (judged(0.5, 0.3, 0.7, None), None),  # what guessing gets is not known
        ({}, None),
    ],
)
def test_a_caution_where_guessing_is_not_left_behind(report: dict[str, Any], said: str | None) -> None:
    found = standing(report)
    expected = None if said is None else f"This model cannot be told from guessing: {said}."
    assert found["caution"] == expected and found["verdict"] == report.get("verdict")
    assert (found["judged"] is None) == (not report)
    if said is not None:
        chinese = in_languages(found)["zh"]["caution"]
        assert chinese is not None and chinese.startswith("该模型与盲猜无法区分：") and "guessing" not in chinese


def direction(query: str, gallery: str, value: float, low: float, high: float) -> dict[str, Any]:
    return {
        "query": query, "gallery": gallery, "queries": 30, "items": 30, "chance": {"hit_rate@1": 0.033},
        "metrics": {"hit_rate@1": {"value": value, "low": low, "high": high}},
    }  # fmt: skip


def found_by(*directions: dict[str, Any]) -> dict[str, Any]:
    return judged(0.2, 0.1, 0.3, 0.1, "mean_hit_rate") | {
        "evaluation": {"metrics": {"mean_hit_rate": {"value": 0.2, "low": 0.1, "high": 0.3}}, "chance": 0.1,
                       "rows": 30, "split": "test", "directions": list(directions)}
    }  # fmt: skip


def test_a_search_model_is_spoken_of_by_direction() -> None:
    report = found_by(direction("text", "image", 0.067, 0.0, 0.2), direction("image", "text", 0.167, 0.1, 0.3))
    found = standing(report)
    told = "by text the first image is right for 6.7% [0.0, 20.0] of 30 queries among 30 (chance 3.3%)"
    assert found["caution"] == f"What this model finds cannot be told from chance: {told}."
    assert standing(report, "image")["caution"] == found["caution"] and standing(report, "text")["caution"] is None
    chinese = in_languages(found, ["text", "image"])["zh"]["caution"]
    assert chinese == (
        "该模型的检索结果与随机水平无法区分：以 text 查询 30 次，6.7% [0.0, 20.0] 的查询在 30 项中首个 image 正确"
        "（随机水平 3.3%）。"
    )
    assert [one["guessing"] for one in found["judged"]["directions"]] == [0.033, 0.033]
    assert str(search_note(report, ["text"], "image")).startswith(f"{told}, not clearly better than chance;")
    assert str(search_note(report, ["image"], "text")).startswith("by image the first text is right for 16.7%")
    assert search_note(report, ["image"], "image") is None and search_note({}, ["text"], "image") is None
    good = found_by(direction("text", "image", 0.7, 0.5, 0.9))
    assert search_note(good, ["text"], "image") is None and standing(good)["caution"] is None
