"""A text encoder that does not know the letters of a column is named, before its answers are believed."""

from __future__ import annotations

from typing import Any

import pytest

import plait

GOOD, BAD = ("客服热情", "质量可靠", "物流很快"), ("客服冷淡", "质量很差", "物流太慢")
QUICK = ["train.threads=1", "train.baselines=false", "judge.missing_rows=0", "fusion.width=8"]


def told(encoder: str, texts: tuple[str, ...]) -> list[str]:
    table = {
        "text": [f"{texts[i % len(texts)]} {i}" for i in range(40)], "size": [i % 7 for i in range(40)],
        "label": ["yes", "no"] * 20,
    }  # fmt: skip
    made: Any = plait.fit(
        table, "label", text="text", preset="single", epochs=1, set=[*QUICK, f"encoders.text={encoder}"]
    )
    return [note for note in made.report["evaluation"]["notes"] if note.startswith("WARNING: ")]


@pytest.mark.real
def test_chinese_before_an_english_encoder_is_warned_of() -> None:
    found = told("minilm", (*GOOD, *BAD))
    assert len(found) == 1 and "minilm does not know" in found[0] and "of column 'text'" in found[0]
    assert "encoders.text=e5-small-multilingual" in found[0]
    assert told("minilm", ("the sky is blue", "a red car", "odd weather")) == []


@pytest.mark.real
def test_an_encoder_of_many_languages_is_not() -> None:
    assert told("e5-small-multilingual", (*GOOD, *BAD)) == []
