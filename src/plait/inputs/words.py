"""Texts with their words beside what the encoder made of them, for a trained bag of words inside the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from plait.inputs.dataset import Source
from plait.processors.cleaning import clean_texts
from plait.processors.words import WordProcessor, pad_words

WORD_KEYS = ("word_BG", "word_weight_BG")
MOST_KEPT = 200_000  # texts whose words are kept; changed copies are new ones in each epoch
NO_WORDS = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


class WordSource:
    """A source of texts that hands out their words too; each text is cut into words once.

    Args:
        source: Of the text modality.
        processor: Makes words of texts.
        load: Gives the text of an item.
        cleaning: What is done to a text first, as for its encoder.
    """

    def __init__(self, source: Source, processor: WordProcessor, load: Callable[[int], str], cleaning: str) -> None:
        self.source, self.processor, self.load, self.cleaning = source, processor, load, cleaning
        self._cut: dict[int, tuple[np.ndarray, np.ndarray]] = {-1: NO_WORDS}

    @property
    def is_live(self) -> bool:
        """That of the source."""
        return bool(getattr(self.source, "is_live", False))

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """The tensors of the source, ``word_BG`` and ``word_weight_BG``; a missing text has no words."""
        if len(self._cut) > MOST_KEPT:
            self._cut = {-1: NO_WORDS}
        fresh = [number for number in dict.fromkeys(index_B.tolist()) if number not in self._cut]
        texts, _ = clean_texts([self.load(number) for number in fresh], self.cleaning)
        self._cut.update(zip(fresh, map(self.processor.weighted, texts), strict=True))
        return {**self.source.take(index_B), **pad_words([self._cut[number] for number in index_B.tolist()])}
