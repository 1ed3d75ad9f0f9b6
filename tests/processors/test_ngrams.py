"""N-grams of texts: counted and weighted without scikit-learn, number for number as with it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy

ngrams = lazy("plait.processors.ngrams")

ODD = [
    "", " ", "a", "\n", "...", "!?", "A", "a a", "the red car", "The RED  car\tis\u00a0red", "x" * 300, "_ __ a_b",
    "l'été à Nîmes", "l'e\u0301te\u0301 a\u0300 Ni\u0302mes", "İstanbul ISPARTA ıı", "STRASSE straße ẞ", "Ǆ ǅ ǆ",
    "我喜欢这辆红色的车", "我 喜欢\u3000这辆 车。", "รถสีแดงคันนี้", "النص العربي ١٢٣", "हिन्दी में पाठ",
    "👍", "👍👍 👍🏽", "👨‍👩‍👧‍👦 family 🇩🇪", "e\u200bx\u200by", "\ufeffa b", "soft\u00adhyphen", "a\u0000b",
    "\x1c a\x1db \x85c",
    "1,234.50 €", "e-mail@host.example #tag", "co\u2019s \u2018q\u2019", "no\u2028line \u2029",
    "\ud800 lone", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
]  # fmt: skip


def drawn(number: int, seed: int) -> list[str]:
    """Texts of pieces of the odd ones, and of any characters at all."""
    rng = random.Random(seed)
    pieces = [piece for text in ODD for piece in (text, *text.split())]
    made = ["".join(rng.choice((" ", "  ", "", "\n", "-")) + rng.choice(pieces) for _ in range(rng.randint(1, 12)))
            for _ in range(number)]  # fmt: skip
    return [*made, *("".join(chr(rng.randrange(1, 0x2FFF)) for _ in range(rng.randint(1, 40))) for _ in range(number))]


def by_the_libraries(made: Any, texts: list[str]) -> Any:
    """The matrix as scikit-learn counts it and SciPy weighs it."""
    from scipy import sparse
    from sklearn.feature_extraction.text import CountVectorizer

    parts = []
    for analyzer, sizes, names in (("word", (1, 2), made.words), ("char_wb", (2, 5), made.characters)):
        if names:
            counter = CountVectorizer(
                analyzer=analyzer, ngram_range=sizes, vocabulary={n: i for i, n in enumerate(names)},
                token_pattern=r"(?u)\b\w+\b" if analyzer == "word" else None,
            )  # fmt: skip
            parts.append(counter.transform(texts))
    counts = sparse.hstack(parts, format="csr").astype(np.float64)
    counts.data = 1.0 + np.log(counts.data)
    weighted = sparse.csr_matrix(counts.multiply(made.idf[None, :]))
    length_N = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).reshape(-1))
    scale = sparse.diags(1.0 / np.where(length_N > 0, length_N, 1.0))
    return sparse.csr_matrix(scale @ weighted)


@pytest.mark.parametrize("kept", ["both", "words", "characters"])
def test_counted_bit_for_bit_as_the_libraries_do(kept: str) -> None:
    texts = [*ODD, *drawn(60, seed=0)]
    made = ngrams.NgramProcessor.fit(texts)
    if kept != "both":
        words, characters = (made.words, []) if kept == "words" else ([], made.characters)
        idf = made.idf[: len(made.words)] if kept == "words" else made.idf[len(made.words) :]
        made = ngrams.NgramProcessor(words, characters, idf)
    asked = [*texts, *drawn(60, seed=1)]
    expected, found = by_the_libraries(made, asked), made.matrix(asked)
    for part in ("indptr", "indices", "data"):
        theirs, ours = getattr(expected, part), getattr(found, part)
        assert theirs.dtype == ours.dtype and theirs.tobytes() == ours.tobytes(), part
    assert found.shape == expected.shape and found.nnz > (1000 if kept != "words" else 300)
    tensors = made.process(asked)
    for row in (0, 8, len(asked) - 1):
        size = expected.indptr[row + 1] - expected.indptr[row]
        part = slice(expected.indptr[row], expected.indptr[row + 1])
        assert tensors["ngram_BG"][row, :size].tolist() == expected.indices[part].tolist()
        assert tensors["ngram_weight_BG"][row, :size].tolist() == expected.data[part].astype(np.float32).tolist()
        assert not tensors["ngram_weight_BG"][row, size:].any()


def test_no_texts_and_texts_without_a_known_ngram() -> None:
    made = ngrams.NgramProcessor.fit(["a red car", "a red bus"])
    assert made.process([])["ngram_BG"].shape == (0, 1) and made.matrix([]).shape == (0, len(made))
    assert made.process(["", "zz"])["ngram_weight_BG"].tolist() == [[0.0], [0.0]]
