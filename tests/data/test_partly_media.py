"""Columns of which some cells only are media: what they are taken for, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from plait.data.column_kind import Hints
from plait.data.guess import guess_column
from plait.data.table import read_table

PHOTOS = [f"photos/{i}.jpg" for i in range(10)]


def guessed(values: list[Any]) -> tuple[str | None, str]:
    return guess_column(read_table({"seen": values}), "seen", Hints())


@pytest.mark.parametrize("other", ["/proc/kmsg", "lost", "N-A", "photos/old"])
def test_half_photos_are_a_column_of_photos(other: str) -> None:
    kind, why = guessed([*PHOTOS, *[other] * 10])
    assert kind == "image" and "50% of its values read like paths or data of images" in why


def test_half_sounds_are_a_column_of_sounds() -> None:
    assert guessed([f"{i}.wav" for i in range(6)] + ["lost"] * 4)[0] == "audio"


def test_a_smaller_part_is_said_with_what_to_type() -> None:
    kind, why = guessed([*PHOTOS[:4], *["lost"] * 16])
    assert kind == "categorical" and "20% of its values read like paths or data of images; " in why
    assert why.endswith("type image='seen'")


def test_photos_among_sentences_and_sounds_are_doubtful() -> None:
    kind, why = guessed([*PHOTOS, *[f"a dog runs on the beach {i}" for i in range(10)]])
    assert kind == "text" and why.endswith("type image='seen'")
    kind, why = guessed([*PHOTOS, *[f"{i}.wav" for i in range(10)]])
    assert kind not in ("image", "audio") and why.endswith("type image='seen' or audio='seen'")


def test_words_and_few_photos_say_nothing() -> None:
    assert "image" not in guessed(["red", "blue"] * 20 + ["a.jpg"])[1]
