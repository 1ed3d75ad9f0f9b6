"""Exact search beside NumPy's brute force: ten neighbours among random unit vectors, one query and 64 at a time."""

from __future__ import annotations

from functools import partial

import numpy as np

from parts.part import Asked, Measured
from plait.index import top_k
from search_speed import K, by_numpy, unit_vectors
from turns import in_turns

DIM = 384


def search(asked: Asked) -> list[Measured]:
    """Two lines: a query alone, and 64 together."""
    size = 20_000 if asked.quick else 200_000
    vectors, queries = unit_vectors(size, DIM, asked.seed)
    made = []
    for batch in (1, 64):
        sides = {
            "Plait": partial(_top, vectors, queries[:batch]), "NumPy": partial(by_numpy, vectors, queries[:batch], K),
        }  # fmt: skip
        turns = in_turns(sides, 3 * asked.repeats)
        share = float((turns.results["Plait"] == turns.results["NumPy"]).mean())
        setting = f"{size:,} x {DIM}, {batch} at once, k = {K}, {asked.threads} threads"
        data = "random unit vectors"
        made.append(Measured(f"search-{batch}", "Plait", "NumPy", data, setting, turns, {"same neighbours": share}))
    return made


def _top(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return top_k([vectors], queries, K).positions_QK
