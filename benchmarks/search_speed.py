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
import time
from collections.abc import Callable

K = 10
NUMPY_BLOCK = 131_072  # rows a product; smaller and larger ones were not faster


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
    rng = np.random.default_rng(given.seed)
    vectors = np.empty((given.size, given.dim), dtype=np.float32)
    for low in range(0, given.size, 65_536):  # in parts: float64 of all would be 3 GB
        part = rng.standard_normal((min(65_536, given.size - low), given.dim), dtype=np.float32)
        vectors[low : low + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
    queries = rng.standard_normal((64, given.dim)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(given.dim)
    flat.add(vectors)  # faiss keeps a copy: about 2 x 1.5 GB in all

    def by_numpy(asked: np.ndarray) -> np.ndarray:
        scores, places = [], []
        for low in range(0, given.size, NUMPY_BLOCK):
            part = asked @ vectors[low : low + NUMPY_BLOCK].T
            k = min(K, part.shape[1])
            best = np.argpartition(part, part.shape[1] - k, axis=1)[:, -k:]
            scores.append(np.take_along_axis(part, best, axis=1))
            places.append(best + low)
        every, place = np.concatenate(scores, axis=1), np.concatenate(places, axis=1)
        return np.take_along_axis(place, np.argsort(-every, axis=1, kind="stable")[:, :K], axis=1)

    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Plait": lambda asked: top_k([vectors], asked, K).positions_QK,
        "NumPy": by_numpy,
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
        times: dict[str, list[float]] = {name: [] for name in methods}
        for turn in range(given.rounds):
            order = list(methods) if turn % 2 == 0 else list(reversed(methods))
            for name in order:
                started = time.perf_counter()
                methods[name](asked)
                times[name].append((time.perf_counter() - started) * 1000 / batch)
        for name, spent in times.items():
            median = statistics.median(spent)
            ratio = statistics.median([own / base for own, base in zip(spent, times["Plait"], strict=True)])
            shown = f"{median:.2f} ({min(spent):.2f} to {max(spent):.2f})"
            body.append([str(batch), name, shown, f"{ratio:.2f}", f"{same[name]:.3f}"])
    table(["batch", "method", "ms a query, median (lowest to highest)", "times Plait", "same neighbours"], body)


if __name__ == "__main__":
    main()
