"""Milliseconds a query of exact search: Plait against plain NumPy and faiss-flat, in one process, in turns.

A million random unit vectors of width 384, ten neighbours, one query at a time and 64 at a time. Every round runs
each method once, so that a busy moment of the machine hits all alike; the median over rounds is told, with the lowest
and the highest, and the median of each round's ratio to Plait. All methods must find the same neighbours.
NumPy means ``argpartition`` over a matrix product, in blocks (all scores of 64 queries at once would be 256 MB), then
a sort of what it found.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from turns import in_turns

if TYPE_CHECKING:
    import numpy as np

K = 10
NUMPY_BLOCK = 131_072  # rows a product; smaller and larger ones were not faster


def unit_vectors(size: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random unit vectors [size, dim], and 64 queries [64, dim]."""
    import numpy as np

    rng = np.random.default_rng(seed)
    vectors = np.empty((size, dim), dtype=np.float32)
    for low in range(0, size, 65_536):  # in parts: float64 of all would be 3 GB
        part = rng.standard_normal((min(65_536, size - low), dim), dtype=np.float32)
        vectors[low : low + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    queries = rng.standard_normal((64, dim)).astype(np.float32)
    return vectors, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def by_numpy(vectors: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """Positions [Q, k] of the largest inner products, block by block."""
    import numpy as np

    scores, places = [], []
    for low in range(0, len(vectors), NUMPY_BLOCK):
        part = asked @ vectors[low : low + NUMPY_BLOCK].T
        count = min(k, part.shape[1])
        best = np.argpartition(part, part.shape[1] - count, axis=1)[:, -count:]
        scores.append(np.take_along_axis(part, best, axis=1))
        places.append(best + low)
    every, place = np.concatenate(scores, axis=1), np.concatenate(places, axis=1)
    return np.take_along_axis(place, np.argsort(-every, axis=1, kind="stable")[:, :k], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu", help="cuda adds Plait on a GPU, vectors lying there already")
    given = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(given.threads)  # before any of them is imported
    import faiss
    import numpy as np
    import torch

    from measure import table
    from plait.index import top_k

    torch.set_num_threads(given.threads)
    faiss.omp_set_num_threads(given.threads)
    vectors, queries = unit_vectors(given.size, given.dim, given.seed)
    flat = faiss.IndexFlatIP(given.dim)
    flat.add(vectors)  # faiss keeps a copy: about 2 x 1.5 GB in all

    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Plait": lambda asked: top_k([vectors], asked, K).positions_QK,
        "NumPy": lambda asked: by_numpy(vectors, asked, K),
        "faiss-flat": lambda asked: flat.search(asked, K)[1],
    }
    if given.device != "cpu":
        there = torch.from_numpy(vectors).to(given.device)
        methods[f"Plait, {given.device}"] = lambda asked: top_k([there], asked, K, device=given.device).positions_QK
    print(f"{given.size:,} x {given.dim}, k = {K}, {given.threads} threads, seed {given.seed}, {given.rounds} rounds")
    print(
        f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, numpy {np.__version__}, faiss {faiss.__version__}"
    )
    body = []
    for batch in (1, 64):
        asked = queries[:batch]
        found = {name: run(asked) for name, run in methods.items()}  # also warms every method up
        same = {name: float((places == found["Plait"]).mean()) for name, places in found.items()}
        turns = in_turns({name: partial(run, asked) for name, run in methods.items()}, given.rounds, warm=False)
        for name, seconds in turns.seconds.items():
            spent = [1000 * one / batch for one in seconds]
            shown = f"{statistics.median(spent):.2f} ({min(spent):.2f} to {max(spent):.2f})"
            ratio = turns.ratio(name, "Plait")["median"]
            body.append([str(batch), name, shown, f"{ratio:.2f}", f"{same[name]:.3f}"])
    table(["batch", "method", "ms a query, median (lowest to highest)", "times Plait", "same neighbours"], body)


if __name__ == "__main__":
    main()
