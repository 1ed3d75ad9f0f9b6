"""Columns of texts: tokens, hashed pieces, and the words and n-grams that some models read beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.values import spelling
from plait.processors.cleaning import clean_texts
from plait.processors.hashed import HashedTextProcessor
from plait.processors.spelling import SPELLINGS
from plait.processors.words import WordProcessor

Read = tuple[dict[str, np.ndarray], np.ndarray, list[tuple[int, str]]]


def reader(facts: dict[str, Any], model: Any) -> TextReader:
    """The reader of a modality that ``plait.json`` describes."""
    return TextReader(facts, model.folder)


class TextReader:
    """Reads one column of texts.

    Args:
        facts: Of the modality.
        folder: The exported folder.
    """

    def __init__(self, facts: dict[str, Any], folder: Path) -> None:
        self.column, described = facts["columns"][0], facts["processor"]
        self.cleaning = described.get("cleaning", "none")
        self.pieces: Any = HashedTextProcessor.from_json({**described, "cleaning": "none"}) if described[
            "type"] == "hashed-text" else Tokens(described, folder / facts["tokenizer"])  # fmt: skip
        self.beside: list[Any] = []
        if "words" in facts:
            self.beside.append(WordProcessor.load((folder / facts["words"]).parent))
        if "ngrams" in facts:
            self.beside.append(Ngrams(folder / facts["ngrams"]))

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the column, where it is there, and what could not be read."""
        texts, there_B, problems = [""] * len(rows), np.zeros(len(rows), dtype=bool), []
        for i, row in enumerate(rows):
            cell = row.get(self.column)
            if isinstance(cell, bytes | bytearray | dict | list):
                problems.append((i, f"{self.column}: expected text, got {type(cell).__name__}"))
                continue
            text = cell if isinstance(cell, str) else spelling(cell) or ""
            texts[i], there_B[i] = text.encode("utf-8", "replace").decode(), bool(text.strip())
        clean = clean_texts(texts, self.cleaning)[0]
        arrays = self.pieces.arrays(clean)
        for one in self.beside:
            arrays |= one.arrays(clean)
        return arrays, there_B, problems


class Tokens:
    """Token ids by a ``tokenizer.json``.

    Args:
        described: The text processor: ``max_length``, ``prefix``, ``spelling``, ``pad``, ``truncation_side``.
        file: The tokenizer.
    """

    def __init__(self, described: dict[str, Any], file: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(file))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(int(described["max_length"]), direction=described["truncation_side"])
        self.pad, self.prefix = int(described["pad"]), described.get("prefix", "")
        self.spell = SPELLINGS.get(described.get("spelling", "none"))

    def arrays(self, texts: list[str]) -> dict[str, np.ndarray]:
        """``input_ids`` and ``attention_mask`` int64 [B, T], padded on the right to the longest text."""
        found = [one.ids for one in self.tokenizer.encode_batch([self.prefix + self.spell(text) for text in texts])]
        width = max(1, max(map(len, found), default=1))
        ids = np.full((len(found), width), self.pad, dtype=np.int64)
        mask = np.zeros((len(found), width), dtype=np.int64)
        for row, one in enumerate(found):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        return {"input_ids": ids, "attention_mask": mask}


class Ngrams:
    """Weighted n-grams of words and of characters inside words, as scikit-learn counts them.

    Args:
        file: ``ngrams.json``.
    """

    def __init__(self, file: Path) -> None:
        import re

        facts = json.loads(file.read_text(encoding="utf-8"))
        self.words = {gram: i for i, gram in enumerate(facts["words"])}
        self.characters = {gram: i + len(self.words) for i, gram in enumerate(facts["characters"])}
        self.idf, self.word = np.array(facts["idf"]), re.compile(r"(?u)\b\w+\b")

    def arrays(self, texts: list[str]) -> dict[str, np.ndarray]:
        """``ngram_BG`` int64 and ``ngram_weight_BG`` float32, padded with weight 0."""
        rows = [self.weighted(text) for text in texts]
        width = max(1, max((len(ids) for ids, _ in rows), default=1))
        ids_BG = np.zeros((len(rows), width), dtype=np.int64)
        weights_BG = np.zeros((len(rows), width), dtype=np.float32)
        for row, (ids, weights) in enumerate(rows):
            ids_BG[row, : len(ids)], weights_BG[row, : len(ids)] = ids, weights
        return {"ngram_BG": ids_BG, "ngram_weight_BG": weights_BG}

    def weighted(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids and weights of one text: (1 + log count) idf, of length 1."""
        text = text.lower()
        words = self.word.findall(text)
        grams = [*words, *(f"{a} {b}" for a, b in zip(words, words[1:], strict=False))] if self.words else []
        counts = Counter(self.words[gram] for gram in grams if gram in self.words)
        if self.characters:
            counts |= Counter(self.characters[g] for g in _characters(text) if g in self.characters)
        ids = np.array(sorted(counts), dtype=np.int64)
        weights = (1.0 + np.log(np.array([counts[int(i)] for i in ids], dtype=np.float64))) * self.idf[ids]
        length = float(np.sqrt((weights**2).sum()))
        return ids, weights / length if length > 0 else weights


def _characters(text: str, shortest: int = 2, longest: int = 5) -> list[str]:
    """N-grams of characters inside words, a space at either end; a word shorter than n counts once."""
    found = []
    for word in text.split():
        padded = f" {word} "
        for n in range(shortest, longest + 1):
            found += [padded[i : i + n] for i in range(max(1, len(padded) - n + 1))]
            if len(padded) <= n:
                break
    return found
