"""Recall@10 against latency of LanceDB's approximate indexes, on real embeddings.

Takes an index folder (exact backend) or an ``.npy`` of unit vectors [N, D]. Some vectors are drawn as queries and left
out of the collection; what exact search finds among the rest is the truth. Every kind of index is asked with several
settings; each row is one point of the curve. Latency is one query at a time, after a warm-up, median over queries.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from measure import table
from plait.index import open_index, top_k
from plait.index.lance import VECTOR

K = 10


def embeddings(path: Path) -> np.ndarray:
    """Unit vectors [N, D], the plain directions, of an ``.npy`` file or an index folder."""
    if path.is_dir():
        view = open_index(path).storage.view()
        return view.directions(np.flatnonzero(view.alive))
    vectors = np.load(path, allow_pickle=False).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    import lancedb
    from lancedb.index import HnswSq, IvfFlat, IvfPq

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("embeddings", type=Path, help="an .npy file or an index folder")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--partitions", type=int, help="default: the square root of the number of vectors")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    vectors = embeddings(given.embeddings)
    order = np.random.default_rng(given.seed).permutation(len(vectors))
    count = min(given.queries, len(vectors) // 4)
    asked, kept = vectors[order[:count]], np.ascontiguousarray(vectors[order[count:]])
    dim, partitions = kept.shape[1], given.partitions or max(1, int(len(kept) ** 0.5))
    truth = top_k([kept], asked, K).positions_QK
    body = []

    def measured(name: str, setting: str, run: object, built: float | None) -> None:
        found, spent = [], []
        for query in [asked[0], *asked]:  # the first is a warm-up
            started = time.perf_counter()
            found.append(run(query))  # type: ignore[operator]
            spent.append((time.perf_counter() - started) * 1000)
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found[1:], truth.tolist(), strict=True)])
        middle, high = statistics.median(spent[1:]), float(np.percentile(spent[1:], 95))
        body.append(
            [name, setting, f"{recall:.3f}", f"{middle:.2f}", f"{high:.2f}", "" if built is None else f"{built:.1f}"]
        )

    measured("Plait exact", "", lambda query: top_k([kept], query[None], K).positions_QK[0].tolist(), None)
    codes = next(n for n in (dim // 8, dim // 4, dim // 2, dim) if n and dim % n == 0)
    configs = {
        "LanceDB flat": None,
        "IVF-flat": IvfFlat(distance_type="cosine", num_partitions=partitions),
        "IVF-PQ": IvfPq(distance_type="cosine", num_partitions=partitions, num_sub_vectors=codes),
        "IVF-HNSW-SQ": HnswSq(distance_type="cosine", num_partitions=max(1, partitions // 16)),
    }
    flat = pa.array(kept.reshape(-1))
    rows = pa.table({"n": range(len(kept)), VECTOR: pa.FixedSizeListArray.from_arrays(flat, dim)})
    with tempfile.TemporaryDirectory() as place:
        for name, config in configs.items():
            stored = lancedb.connect(place).create_table(name.lower().replace(" ", "-"), rows)
            started = time.perf_counter()
            if config is not None:
                stored.create_index(VECTOR, config=config)
            built = None if config is None else time.perf_counter() - started
            settings: list[tuple[int | None, int | None]] = [(None, None)]
            if config is not None:
                probes = sorted({min(n, partitions) for n in (1, 2, 5, 10, 20, 50)})
                settings = [(n, r) for n in probes for r in ((None, 5) if name == "IVF-PQ" else (None,))]
            for nprobes, refine in settings:

                def run(query: np.ndarray, nprobes: int | None = nprobes, refine: int | None = refine) -> list[int]:
                    search = stored.search(query, vector_column_name=VECTOR).distance_type("cosine").limit(K)  # noqa: B023
                    search = search.nprobes(nprobes) if nprobes is not None else search
                    search = search.refine_factor(refine) if refine is not None else search
                    return search.select(["n", "_distance"]).to_arrow().column("n").to_pylist()

                said = "" if nprobes is None else f"nprobes {nprobes}" + (f", refine {refine}" if refine else "")
                measured(name, said, run, built)
    print(f"{len(kept):,} x {dim} from {given.embeddings.name}, {count} queries, k = {K}, {partitions} partitions, "
          f"PQ of {codes} codes, seed {given.seed}, lancedb {lancedb.__version__}")  # fmt: skip
    table(["index", "setting", f"recall@{K}", "ms, median", "ms, 95%", "built in s"], body)


if __name__ == "__main__":
    main()
