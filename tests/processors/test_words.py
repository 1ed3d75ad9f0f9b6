"""Words and word pairs: by hand, in scripts without spaces, and the same after a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.processors.words import WordProcessor, words_of


def test_words_and_pairs_of_both_kinds_of_script() -> None:
    assert words_of("A Dog, 2 cats") == ["a", "dog", "2", "cats", "a dog", "dog 2", "2 cats"]
    assert words_of("一只狗") == ["一", "只", "狗", "一 只", "只 狗"]
    assert words_of("iPhone手机") == ["iphone", "手", "机", "iphone 手", "手 机"]
    assert words_of("…!") == []


def test_weights_are_idf_by_sublinear_counts_of_length_one() -> None:
    known = WordProcessor.fit(["red bus red car", "red car", "a car"])
    assert known is not None and known.words == ["car", "red", "red car"]  # what one text holds is not kept
    np.testing.assert_allclose(known.idf, np.log(4 / np.array([4.0, 3.0, 3.0])) + 1)
    raw = np.array([1.0, (1 + np.log(2)) * known.idf[1], 1.0 * known.idf[2]])
    made = known.process(["red car red", "new", ""])
    assert made["word_BG"].tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(made["word_weight_BG"][0], raw / np.linalg.norm(raw), rtol=1e-6)
    assert not made["word_weight_BG"][1:].any()
    assert WordProcessor.fit(["one", "two"]) is None


def test_the_same_after_its_file_and_broken_files_are_named(tmp_path: Path) -> None:
    known = WordProcessor.fit(["两只狗 \ud800x", "一只狗 \ud800x"])
    assert known is not None
    known.save(tmp_path)
    again = WordProcessor.load(tmp_path)
    assert again.words == known.words and again.fingerprint == known.fingerprint
    assert np.array_equal(again.weighted("三只狗")[1], known.weighted("三只狗")[1])
    (tmp_path / "words.json").write_text('{"words": ["a"], "idf": [1.0, 2.0]}')
    with pytest.raises(ValueError, match="1 words have 2 weights"):
        WordProcessor.load(tmp_path)
    (tmp_path / "words.json").write_text('{"words": "a", "idf": [1.0]}')
    with pytest.raises(ValueError, match=r"words\.json must hold words"):
        WordProcessor.load(tmp_path)
