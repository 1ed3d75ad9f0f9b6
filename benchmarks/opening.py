"""What comparing checksums costs when an index is opened: the exact folder, and LanceDB (extra ``lance``).

Random unit vectors, an id and a text of metadata each, built in commits of 20,000. Opening and one search, with and
without the comparison, in turns in one process; printed are medians in seconds, after a first turn that fills the
system's cache. Also the speed of ``hashlib.sha256`` and ``zlib.crc32`` on this machine.

Run: python benchmarks/opening.py [--vectors 100000] [--dim 384] [--repeats 5]     (a minute)
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from measure import table

BLOCK = 20_000


class Random:
    """Embeds a text, a number, as one of the random vectors."""

    def __init__(self, vectors: np.ndarray) -> None:
        from plait.data.modality import Modality

        self.vectors, self.dim, self.plain_dim, self.fingerprint = (
            vectors,
            vectors.shape[1],
            vectors.shape[1],
            "ab" * 32,
        )
        self.modalities = (Modality("caption", "text", ("caption",)),)

    def embed(self, rows: Any, modality: str, **_: Any) -> tuple[np.ndarray, list[Any]]:
        """The vectors of some rows."""
        return self.vectors[[int(text) for text in rows.column("caption")]], []


def built(place: Path, backend: str, embedder: Random) -> None:
    """An index of all vectors."""
    from plait.index import build_index

    for start in range(0, len(embedder.vectors), BLOCK):
        numbers = [str(i) for i in range(start, min(start + BLOCK, len(embedder.vectors)))]
        if start == 0:
            index, _ = build_index(embedder, {"caption": numbers}, place, modality="caption", backend=backend)
        else:
            index.add({"caption": numbers}, prefix=f"{start}-")


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    from plait.index import folder, open_index

    made = np.random.default_rng(0).standard_normal((given.vectors, given.dim), dtype=np.float32)
    embedder = Random(made / np.linalg.norm(made, axis=1, keepdims=True))
    block = bytes(1 << 28)
    sums = {name: statistics.median(seconds(lambda f=f: f(block)) for _ in range(3))
            for name, f in (("sha256", hashlib.sha256), ("crc32", zlib.crc32))}  # fmt: skip
    table(["checksum", "GB a second"], [[name, f"{len(block) / 1e9 / took:.2f}"] for name, took in sums.items()])
    backends: dict[str, tuple[Any, str, Any]] = {"exact": (folder, "vectors_match", lambda *_: True)}
    if find_spec("lancedb") is not None:
        from plait.index import lance

        backends["lance"] = (lance, "compare_files", lambda *_: None)
    print()
    table(["index", "vectors", "MB", "opened and searched once, s", "without comparing, s"], [])
    with tempfile.TemporaryDirectory() as place:
        for backend, (module, name, nothing) in backends.items():
            index, real = Path(place) / backend, getattr(module, name)
            built(index, backend, embedder)
            took: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(2 * given.repeats + 2):
                setattr(module, name, real if turn % 2 else nothing)
                spent = seconds(lambda: open_index(index, embedder).search_vectors(embedder.vectors[:1], k=10))
                if turn > 1:
                    took[bool(turn % 2)].append(spent)
            size = sum(p.stat().st_size for p in index.rglob("*") if p.is_file()) / 1e6
            told = [f"{statistics.median(took[compared]):.2f}" for compared in (True, False)]
            print(f"| {backend} | {given.vectors:,} x {given.dim} | {size:.0f} | {told[0]} | {told[1]} |", flush=True)


if __name__ == "__main__":
    main()
