"""Texts to weighted n-grams of words and characters: what a bag-of-words model reads.

In: texts. Out: ids of the n-grams that the training texts hold and their weights, sublinear term frequency times
inverse document frequency, of length 1 a text. Characters are taken inside of words, so that scripts without spaces
between words (Chinese, Thai) are read too. Which n-grams are known is learned with scikit-learn, and saved as JSON;
texts are counted here, number for number as its ``CountVectorizer`` and SciPy's products do, so that answering imports
neither (a second, docs/performance.md).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.processors.text import check_texts

WORDS = (1, 2)
CHARACTERS = (2, 5)
MAX_NGRAMS = 50_000  # of words, and as many of characters
FILE = "ngrams.json"
_WORD = r"(?u)\b\w+\b"


class NgramProcessor:
    """N-grams with their inverse document frequency. Make one with ``fit``.

    Args:
        words: N-grams of words, by id.
        characters: N-grams of characters inside words; their ids follow those of the words.
        idf: Inverse document frequency by id.

    Example:
        >>> ngrams = NgramProcessor.fit(["a red car", "a red bus", "the red car"])
        >>> ngrams.process(["red"])["ngram_BG"].shape[0]
        1
    """

    def __init__(self, words: list[str], characters: list[str], idf: np.ndarray) -> None:
        if len(words) + len(characters) != len(idf):
            raise ValueError(f"{len(words) + len(characters)} n-grams have {len(idf)} weights; expected one each")
        self.words, self.characters, self.idf = words, characters, np.asarray(idf, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.idf)

    @classmethod
    def fit(cls, texts: list[str]) -> NgramProcessor | None:
        """Learn the n-grams that two texts or more hold; None where there are none."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        found: list[tuple[list[str], np.ndarray]] = []
        for analyzer, sizes in (("word", WORDS), ("char_wb", CHARACTERS)):
            counter = TfidfVectorizer(
                analyzer=analyzer, ngram_range=sizes, min_df=2, max_features=MAX_NGRAMS, sublinear_tf=True,
                token_pattern=_WORD if analyzer == "word" else None,
            )  # fmt: skip
            try:
                counter.fit(texts)
            except ValueError:  # no n-gram is left
                found.append(([], np.zeros(0)))
                continue
            names = [str(n) for n in counter.get_feature_names_out()]
            found.append((names, np.asarray(counter.idf_)))
        if not any(names for names, _ in found):
            return None
        return cls(found[0][0], found[1][0], np.concatenate([idf for _, idf in found]))

    def matrix(self, texts: list[str]) -> Any:
        """Weights of the n-grams of texts, a sparse CSR matrix [N, G]; a row has length 1, or 0 without any n-gram."""
        from scipy import sparse

        ids, weights, first = self._weighted(texts)
        parts = (weights, ids.astype(np.int32), first.astype(np.int32))
        return sparse.csr_matrix(parts, shape=(len(texts), len(self)))

    def process(self, texts: list[str]) -> dict[str, Tensor]:
        """``ngram_BG`` int64 and ``ngram_weight_BG`` float32, padded with weight 0."""
        found, weight, first = self._weighted(texts)
        width = max(1, int(np.diff(first).max(initial=0)))
        ids = np.zeros((len(texts), width), dtype=np.int64)
        weights = np.zeros((len(texts), width), dtype=np.float32)
        for row, (start, stop) in enumerate(zip(first[:-1], first[1:], strict=True)):
            ids[row, : stop - start] = found[start:stop]
            weights[row, : stop - start] = weight[start:stop]
        return {"ngram_BG": torch.from_numpy(ids), "ngram_weight_BG": torch.from_numpy(weights)}

    def _weighted(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids [K] int64 and weights [K] float64 of the n-grams of all texts, and where each text begins [N + 1].

        Ids of a text descend: saved models and golden numbers were made by a product of SciPy's that leaves them so,
        and a sum of floats depends on its order.
        """
        check_texts(texts)
        words, characters = self._ids
        ids: list[int] = []
        counts: list[int] = []
        first = np.zeros(len(texts) + 1, dtype=np.int64)
        for row, text in enumerate(texts):
            lower = text.lower()
            found = Counter(words[gram] for gram in _of_words(lower) if gram in words) if words else Counter()
            if characters:
                found.update(characters[gram] for gram in _of_characters(lower) if gram in characters)
            for gram, count in sorted(found.items()):
                ids.append(gram)
                counts.append(count)
            first[row + 1] = len(ids)
        id_K = np.array(ids, dtype=np.int64)
        weight_K = (1.0 + np.log(np.array(counts, dtype=np.float64))) * self.idf[id_K]
        length_N = np.ones(len(texts))
        filled = np.flatnonzero(np.diff(first))
        if len(filled):
            length_N[filled] = np.sqrt(np.add.reduceat(weight_K * weight_K, first[filled]))
        row_K = np.repeat(np.arange(len(texts)), np.diff(first))
        turned = first[row_K] + first[row_K + 1] - 1 - np.arange(len(id_K))
        return id_K[turned], ((1.0 / np.where(length_N > 0, length_N, 1.0))[row_K] * weight_K)[turned], first

    @cached_property
    def _ids(self) -> tuple[dict[str, int], dict[str, int]]:
        """Id by n-gram, of words and of characters."""
        characters = {gram: i for i, gram in enumerate(self.characters, start=len(self.words))}
        return {gram: i for i, gram in enumerate(self.words)}, characters

    def save(self, folder: Path) -> None:
        """Write ``ngrams.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"words": self.words, "characters": self.characters, "idf": self.idf.tolist()}
        (folder / FILE).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> NgramProcessor:
        """Read what ``save`` wrote."""
        facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return cls(list(facts["words"]), list(facts["characters"]), np.asarray(facts["idf"], dtype=np.float64))


def _of_words(text: str) -> Iterator[str]:
    """Words, and each two that follow each other."""
    words = re.findall(_WORD, text)
    yield from words
    for left, right in zip(words, words[1:], strict=False):
        yield f"{left} {right}"


def _of_characters(text: str) -> Iterator[str]:
    """Runs of characters inside words, a space at either end; a word shorter than a run counts once."""
    shortest, longest = CHARACTERS
    for word in text.split():
        padded = f" {word} "
        for size in range(shortest, longest + 1):
            for start in range(max(1, len(padded) - size + 1)):
                yield padded[start : start + size]
            if len(padded) <= size:
                break
