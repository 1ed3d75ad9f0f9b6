"""Texts to weighted n-grams of words and characters: what a bag-of-words model reads.

In: texts. Out: ids of the n-grams that the training texts hold and their weights, sublinear term frequency times
inverse document frequency, of length 1 a text. Characters are taken inside of words, so that scripts without spaces
between words (Chinese, Thai) are read too. The counting is scikit-learn's; what is learned is saved as JSON.
"""

from __future__ import annotations

import json
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
                token_pattern=r"(?u)\b\w+\b" if analyzer == "word" else None,
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

        check_texts(texts)
        parts = [counter.transform(texts) for counter in self._counters]
        counts = sparse.hstack(parts, format="csr").astype(np.float64)
        counts.data = 1.0 + np.log(counts.data)
        weighted = sparse.csr_matrix(counts.multiply(self.idf[None, :]))
        length_N = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).reshape(-1))
        scale = sparse.diags(1.0 / np.where(length_N > 0, length_N, 1.0))
        return sparse.csr_matrix(scale @ weighted)

    def process(self, texts: list[str]) -> dict[str, Tensor]:
        """``ngram_BG`` int64 and ``ngram_weight_BG`` float32, padded with weight 0."""
        matrix = self.matrix(texts)
        sizes = np.diff(matrix.indptr)
        width = max(1, int(sizes.max(initial=0)))
        ids = np.zeros((len(texts), width), dtype=np.int64)
        weights = np.zeros((len(texts), width), dtype=np.float32)
        for row, (start, stop) in enumerate(zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)):
            ids[row, : stop - start] = matrix.indices[start:stop]
            weights[row, : stop - start] = matrix.data[start:stop]
        return {"ngram_BG": torch.from_numpy(ids), "ngram_weight_BG": torch.from_numpy(weights)}

    @cached_property
    def _counters(self) -> list[Any]:
        from sklearn.feature_extraction.text import CountVectorizer

        made = []
        for analyzer, sizes, names in (("word", WORDS, self.words), ("char_wb", CHARACTERS, self.characters)):
            if names:
                counter = CountVectorizer(
                    analyzer=analyzer, ngram_range=sizes, vocabulary={n: i for i, n in enumerate(names)},
                    token_pattern=r"(?u)\b\w+\b" if analyzer == "word" else None,
                )  # fmt: skip
                made.append(counter)
        return made

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
