"""Texts with their n-grams beside what the encoder made of them, for the members of an ensemble that read words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from plait.inputs.dataset import Source
from plait.processors.cleaning import clean_texts
from plait.processors.ngrams import NgramProcessor


class NgramSource:
    """A source of texts that hands out their n-grams too.

    Args:
        source: Of the text modality.
        processor: Makes n-grams of texts.
        load: Gives the text of an item.
        cleaning: What is done to a text first, as for its encoder.
    """

    def __init__(self, source: Source, processor: NgramProcessor, load: Callable[[int], str], cleaning: str) -> None:
        self.source, self.processor, self.load, self.cleaning = source, processor, load, cleaning

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """The tensors of the source, ``ngram_BG`` and ``ngram_weight_BG``; a missing text has no n-grams."""
        unique, place_B = np.unique(index_B, return_inverse=True)
        texts, _ = clean_texts([self.load(int(i)) if i >= 0 else "" for i in unique], self.cleaning)
        made = self.processor.process(texts)
        place = torch.from_numpy(place_B)
        return {**self.source.take(index_B), **{k: v[place] for k, v in made.items()}}
