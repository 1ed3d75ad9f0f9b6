"""Active learning: which rows of a pool to label next, by what a fitted model answers and how rows differ.

In: a fitted model and prepared rows without targets. Out: positions, scores and reasons in words. Nothing here trains.
"""

from __future__ import annotations

from plait.evaluation.active.choose import Suggestion, choose_rows_to_label
from plait.evaluation.active.pool import Pool, answer_pool, content_keys, vectors_of
from plait.evaluation.active.strategies import STRATEGIES, Strategy

__all__ = [
    "STRATEGIES", "Pool", "Strategy", "Suggestion", "answer_pool", "choose_rows_to_label", "content_keys", "vectors_of",
]  # fmt: skip
