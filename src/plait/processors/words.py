"""Texts to weighted words and pairs of neighbouring words, for an embedding bag that is trained.

In: texts. Out: ids of the words and word pairs that training texts hold, and their weights: sublinear term frequency
times inverse document frequency, of length 1 a text. A word is a run of letters and digits; in scripts without spaces
between words (Chinese, Japanese, Thai) it is one character. What is learned is saved as JSON.

Reference: Joulin, Grave, Bojanowski, Mikolov 2017 (fastText), section 2: words and their bigrams in one bag.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.processors.description import check_texts
from plait.settings.json_values import is_numbers

if TYPE_CHECKING:
    from torch import Tensor

MAX_WORDS = 50_000  # with word pairs, the most frequent ones
MIN_TEXTS = 2  # that hold a word
FILE = "words.json"
# Thai, Lao, Myanmar and Khmer; Hiragana and Katakana; Han with its extensions
WITHOUT_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[{WITHOUT_SPACES}]|[^\W{WITHOUT_SPACES}]+")


def words_of(text: str) -> list[str]:
    """Words of a text in lower case, then each pair of neighbours with a space between them.

    Example:
        >>> words_of("A red car")
        ['a', 'red', 'car', 'a red', 'red car']
    """
    words = WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]


class WordProcessor:
    """Words and word pairs with their inverse document frequency. Make one with ``fit``.

    Args:
        words: Words and pairs; the id of the first is 1, for 0 fills short rows.
        idf: Inverse document frequency of each.

    Example:
        >>> words = WordProcessor.fit(["a red car", "a red bus", "the red car"])
        >>> words.process(["red"])["word_BG"].tolist()
        [[3]]
    """

    def __init__(self, words: list[str], idf: np.ndarray) -> None:
        if len(words) != len(idf) or len(set(words)) != len(words):
            raise ValueError(f"{len(words)} words have {len(idf)} weights; expected different words and a weight each")
        self.words, self.idf = words, np.asarray(idf, dtype=np.float64)
        self._ids = {word: number + 1 for number, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def fit(cls, texts: list[str]) -> WordProcessor | None:
        """Learn the words that two texts or more hold; None where there are none."""
        check_texts(texts)
        held = Counter(word for text in texts for word in set(words_of(text)))
        often = sorted((word for word, count in held.items() if count >= MIN_TEXTS), key=lambda w: (-held[w], w))
        words = sorted(often[:MAX_WORDS])
        if not words:
            return None
        count_G = np.array([held[word] for word in words], dtype=np.float64)
        return cls(words, np.log((1 + len(texts)) / (1 + count_G)) + 1)

    def weighted(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids and weights of one text, int64 and float32, by id; both empty where it has no known word."""
        counts = Counter(self._ids[word] for word in words_of(text) if word in self._ids)
        ids = np.array(sorted(counts), dtype=np.int64)
        weights = (1 + np.log(np.array([counts[int(i)] for i in ids], dtype=np.float64))) * self.idf[ids - 1]
        length = np.sqrt((weights**2).sum())
        return ids, (weights / length if length > 0 else weights).astype(np.float32)

    def process(self, texts: list[str]) -> dict[str, Tensor]:
        """``word_BG`` int64 and ``word_weight_BG`` float32, padded with id 0 and weight 0."""
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(texts))

    def arrays(self, texts: list[str]) -> dict[str, np.ndarray]:
        """The same as arrays."""
        check_texts(texts)
        return padded_words([self.weighted(text) for text in texts])

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes ids and weights."""
        return hashlib.sha256(json.dumps(self.to_json(), ensure_ascii=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Words and weights as plain values."""
        return {"words": self.words, "idf": self.idf.tolist()}

    def save(self, folder: Path) -> None:
        """Write ``words.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(self.to_json(), ensure_ascii=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> WordProcessor:
        """Read what ``save`` wrote."""
        facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
        words = facts.get("words") if isinstance(facts, dict) else None
        if (
            not isinstance(words, list)
            or not all(isinstance(w, str) for w in words)
            or not is_numbers(facts.get("idf"))
        ):
            raise ValueError(f"{FILE} must hold words (a list of texts) and idf (as many numbers)")
        return cls(words, np.asarray(facts["idf"], dtype=np.float64))


def pad_words(rows: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """Ids and weights of several texts as tensors of one width."""
    from plait.processors.tensors import as_tensors

    return as_tensors(padded_words(rows))


def padded_words(rows: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The same as arrays."""
    width = max(1, max((len(ids) for ids, _ in rows), default=1))
    ids_BG = np.zeros((len(rows), width), dtype=np.int64)
    weights_BG = np.zeros((len(rows), width), dtype=np.float32)
    for row, (ids, weights) in enumerate(rows):
        ids_BG[row, : len(ids)] = ids
        weights_BG[row, : len(ids)] = weights
    return {"word_BG": ids_BG, "word_weight_BG": weights_BG}
