"""What the text encoder of a model cannot read, of a query and of a source: which signs count, from which share on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.colours import ColourEmbedder
from fixtures.lazy import lazy
from plait.index import build_index, letters_note

texts_note = lazy("plait.index.letters", "texts_note")
HashedTextProcessor = lazy("plait.processors.hashed", "HashedTextProcessor")
Modality = lazy("plait.data.modality", "Modality")
tr_in = lazy("plait.report.languages", "tr_in")


class Letters:
    """A vocabulary of ASCII: the share of other letters is unknown."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def unknown_share(self, texts: list[str]) -> float:
        self.asked.append(texts)
        letters = [letter for text in texts for letter in text if not letter.isspace()]
        return sum(not letter.isascii() for letter in letters) / max(1, len(letters))


def model(processor: Any) -> tuple[Any, Any, Any]:
    """A model that reads captions and pictures, and its two modalities."""
    text, image = Modality("caption", "text", ("caption",)), Modality("photo", "image", ("photo",))
    inputs = SimpleNamespace(processors={"caption": processor}, references={"caption": {"reference": "minilm"}})
    return SimpleNamespace(inputs=inputs, modalities=(text, image)), text, image


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ("日落", True), ("日落 🌅", True), ("日落 sun", True), ("a red car", False), ("🌅", False),
        ("🌅🌅 ❤️ 👩‍👧 1️⃣", False),
        ("🚗 red car 🚗🚗🚗🚗", False), ("5 € + 3 £ = $9 ™ ©", False), ("Ａ　ｒｅｄ　ｃａｒ", False),
        ("a red car in the snow 山", False), ("→ ★ ☆ ▲", False),
    ],
)  # fmt: skip
def test_signs_and_emoji_of_a_query_say_nothing(query: str, unknown: bool) -> None:
    letters = Letters()
    embedder, text, image = model(letters)
    for indexed in (text, image):
        found = letters_note(embedder, indexed, query)
        assert (found is not None) == unknown, found
        assert found is None or found.startswith("minilm does not know ")
    assert not any("🌅" in asked or "🚗" in asked for call in letters.asked for asked in call)


def test_texts_of_a_source_are_told_of_from_a_tenth_on() -> None:
    embedder, text, image = model(Letters())
    good, bad = ["a red car", "🚗", None, "", 7] * 50, ["红色的车"] * 9
    assert texts_note(embedder, text, good) is None and texts_note(embedder, text, [None, "🚗"]) is None
    assert texts_note(embedder, text, ["abcdefghij"] * 9 + ["红"] * 9) is None  # 9 of 99 letters
    found = texts_note(embedder, text, good + bad * 3)
    assert found is not None and "of column 'caption'" in found and "encoders.text=e5-small-multilingual" in found
    assert texts_note(embedder, image, bad) is None  # an index of pictures holds no texts
    told = tr_in("zh", found)
    assert "“caption”列中" in told and "look alike" not in told


def test_a_long_source_is_asked_for_500_texts() -> None:
    letters = Letters()
    embedder, text, _ = model(letters)
    assert texts_note(embedder, text, ["红色的车"] * 4000) is not None
    assert len(letters.asked[0]) == 500


def test_an_encoder_without_a_vocabulary_reads_everything() -> None:
    """``scratch:text`` hashes pieces of words, Chinese letters one by one: nothing is unknown to it."""
    processor = HashedTextProcessor()
    embedder, text, _ = model(processor)
    assert letters_note(embedder, text, "客服热情") is None and texts_note(embedder, text, ["客服热情"] * 9) is None
    first, second = processor.process(["客服热情", "客服冷淡"])["input_ids"].tolist()
    assert first[:3] == second[:3] and not set(first[3:]) & set(second[3:])


def test_an_index_of_texts_is_built_with_the_warning(tmp_path: Path) -> None:
    embedder: Any = ColourEmbedder()
    text = next(m for m in embedder.modalities if m.kind == "text")
    embedder.inputs = SimpleNamespace(
        processors={text.name: Letters()}, references={text.name: {"reference": "minilm"}}
    )
    rows = {text.columns[0]: [f"red 红色的车第 {i} 辆" for i in range(4)]}
    _, report = build_index(embedder, rows, tmp_path / "i", modality=text.name)
    assert [note for note in report.notes if "minilm does not know" in note]
    assert "注意：minilm 不认识" in report.text("zh")
    _, again = build_index(embedder, rows, tmp_path / "i", modality=text.name)
    assert again.embedded == 0 and not any("does not know" in note for note in again.notes)  # told when it was built
