"""Answers to recombined rows, each different combination of items computed once.

EMAP and shuffling ask for the same few combinations again and again: 8 rows of three modalities make 729 combinations,
and a hundred thousand questions. Only those that are new reach the model.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_KEPT = 50_000_000  # numbers kept in memory


class AskedOnce:
    """A model's scores of combinations of items, remembered.

    Args:
        scores_of: Item numbers ``[B, M]``, -1 where absent, to scores ``[B, C]``.
        num_items: Items of each modality.

    Attributes:
        computed: Combinations that reached the model.
    """

    def __init__(self, scores_of: Callable[[np.ndarray], np.ndarray], num_items: np.ndarray) -> None:
        self.scores_of = scores_of
        sizes = [int(n) + 1 for n in num_items]
        self.is_countable = bool(np.prod([float(s) for s in sizes]) < 2**62)
        self.steps = np.cumprod([1, *sizes[:-1]], dtype=np.int64) if self.is_countable else None
        self.known = np.empty(0, dtype=np.int64)
        self.scores: np.ndarray | None = None
        self.computed = 0

    def __call__(self, items_BM: np.ndarray) -> np.ndarray:
        """Scores ``[B, C]``."""
        if self.steps is None:
            self.computed += len(items_BM)
            return self.scores_of(items_BM)
        codes, first, inverse = np.unique((items_BM + 1) @ self.steps, return_index=True, return_inverse=True)
        is_new = ~np.isin(codes, self.known, assume_unique=True)
        if is_new.any():
            made = self.scores_of(items_BM[first[is_new]])
            self.computed += len(made)
            both = np.concatenate([self.known, codes[is_new]])
            scores = made if self.scores is None else np.concatenate([self.scores, made])
            order = np.argsort(both)
            known, scores = both[order], scores[order]
        else:
            assert self.scores is not None
            known, scores = self.known, self.scores
        if scores.size <= MOST_KEPT:
            self.known, self.scores = known, scores
        answers: np.ndarray = scores[np.searchsorted(known, codes)][inverse.reshape(-1)]
        return answers
