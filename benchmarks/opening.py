"""What checks cost when a model or an index is opened: checksums, shapes and values that are not finite.

The speed of ``hashlib.sha256`` and ``zlib.crc32`` on this machine; then models with a BERT of 1 and of 12 layers, its
weights random and trained in full so that they lie in the folder, loaded with a clock on each check; then indexes,
exact and in LanceDB (extra ``lance``), of random unit vectors with an id and a text each, built in commits of 20,000,
opened and searched once with and without the comparison, in turns. All in one process and one thread; printed are
medians, after a first turn that fills the system's cache.

Run: python benchmarks/opening.py [--vectors 100000] [--dim 384] [--repeats 5] [--layers 1,12]     (minutes)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

from measure import line, table

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


def model(place: Path, layers: int) -> Path:
    """The folder of a model whose text encoder, 768 wide, has so many layers."""
    import transformers as hf

    import plait

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(20))]
    bert = place / f"bert-{layers}"
    hf.BertModel(hf.BertConfig(vocab_size=len(words), num_hidden_layers=layers)).save_pretrained(bert)
    (place / "vocab.txt").write_text("\n".join(words))
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(bert)
    rows = [{"text": f"{i} {i % 7}", "label": "ab"[i % 2]} for i in range(20)]
    plait.fit(rows, "label", text="text", epochs=1, output=place / f"model-{layers}", set=[
        f"encoders.text=hf:{bert}", "encoders.tuning=full", "train.baselines=false", "judge.missing_rows=0",
        "train.threads=1",
    ])  # fmt: skip
    return place / f"model-{layers}"


def loaded(folder: Path, repeats: int) -> list[str]:
    """A row of the table: megabytes, milliseconds in all, and those of each check."""
    import plait
    from plait.api import model_manifest, network_file

    spent: dict[str, float] = {}
    checks = ((model_manifest, "file_sha256"), (network_file, "_not_finite"), (network_file, "_check_shapes"))
    kept = [getattr(module, name) for module, name in checks]

    def clocked(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            started = time.perf_counter()
            try:
                return real(*given)
            finally:
                spent[name] += time.perf_counter() - started

        return run

    found: list[list[float]] = []
    for (module, name), real in zip(checks, kept, strict=True):
        setattr(module, name, clocked(name, real))
    for _ in range(repeats + 1):
        spent.update({name: 0.0 for _, name in checks})
        took = seconds(lambda: plait.load(folder))
        found.append([took, *(spent[name] for _, name in checks)])
    for (module, name), real in zip(checks, kept, strict=True):
        setattr(module, name, real)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
    return [f"{size:.0f}", *(f"{1000 * statistics.median(column):.0f}" for column in zip(*found[1:], strict=True))]


def opened(index: Path, embedder: Random) -> float:
    """Seconds of opening an index and searching it once."""
    from plait.index import open_index

    return seconds(lambda: open_index(index, embedder).search_vectors(embedder.vectors[:1], k=10))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", default="1,12")
    given = parser.parse_args()
    import torch

    from plait.index import folder

    torch.set_num_threads(1)
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
    table(["model, MB", "load, ms", "sha256 of files", "NaN", "shapes"], [])
    with tempfile.TemporaryDirectory() as place:
        for layers in filter(None, given.layers.split(",")):
            line(loaded(model(Path(place), int(layers)), given.repeats))
    print()
    table(["index", "vectors", "MB", "opened and searched once, s", "without comparing, s"], [])
    with tempfile.TemporaryDirectory() as place:
        for backend, (module, name, nothing) in backends.items():
            index, real = Path(place) / backend, getattr(module, name)
            built(index, backend, embedder)
            took: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(2 * given.repeats + 2):
                setattr(module, name, real if turn % 2 else nothing)
                spent = opened(index, embedder)
                if turn > 1:
                    took[bool(turn % 2)].append(spent)
            size = sum(p.stat().st_size for p in index.rglob("*") if p.is_file()) / 1e6
            told = [f"{statistics.median(took[compared]):.2f}" for compared in (True, False)]
            print(f"| {backend} | {given.vectors:,} x {given.dim} | {size:.0f} | {told[0]} | {told[1]} |", flush=True)


if __name__ == "__main__":
    main()
