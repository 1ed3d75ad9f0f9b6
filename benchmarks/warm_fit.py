"""What comparing stored features with their checksums costs a warm fit, one whose features are all stored.

The same fit runs with and without the comparison in turns, in one process; printed are the seconds, their ratio pair by
pair, and the seconds of the comparison itself as a share of the fit. The encoder is a BERT with random weights, as wide
as MiniLM (384); features are vectors alone (``concat``) or tokens too (``self_attention``).

Run: python benchmarks/warm_fit.py [--rows 5000] [--repeats 5]     (minutes)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

WORDS = [f"w{n}" for n in range(500)]


def encoder(folder: Path) -> str:
    """A folder of a BERT with one layer."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    config = hf.BertConfig(vocab_size=len(vocabulary), hidden_size=384, intermediate_size=384, num_hidden_layers=1,
                           num_attention_heads=6)  # fmt: skip
    hf.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    hf.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return f"hf:{folder}"


def measure(fusion: str, count: int, repeats: int, folder: Path, reference: str) -> None:
    """Print one line of the table."""
    import plait
    from plait.inputs.feature_store.segment import Segment

    draw = np.random.default_rng(0)
    rows = [{"text": " ".join(draw.choice(WORDS, 30)), "label": "ab"[i % 2]} for i in range(count)]
    settings = [f"encoders.text={reference}", f"fusion.name={fusion}", "train.epochs=3", "train.baselines=false",
                "judge.missing_rows=0", "train.threads=1"]  # fmt: skip
    compare, spent = Segment.damaged_rows, [0.0]

    def timed(self: Any, chosen: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        found = compare(self, chosen)
        spent[0] += time.perf_counter() - started
        return found

    def fit(function: Any) -> tuple[float, float]:
        Segment.damaged_rows, spent[0] = function, 0.0  # type: ignore[method-assign]
        started = time.perf_counter()
        plait.fit(rows, "label", set=settings)
        return time.perf_counter() - started, spent[0]

    fit(timed)  # fills the store
    pairs, shares = [], []
    for turn in range(repeats):
        order = [timed, lambda self, chosen: chosen[:0]]
        seconds = {}
        for function in order if turn % 2 else order[::-1]:
            seconds[function is timed], own = fit(function)
            if function is timed:
                shares.append(own / seconds[True])
        pairs.append((seconds[True], seconds[False]))
    Segment.damaged_rows = compare  # type: ignore[method-assign]
    ratios = [checked / unchecked for checked, unchecked in pairs]
    with_it, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"| {fusion} | {count:,} | {with_it:.2f} | {without:.2f} "
        f"| {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) "
        f"| {statistics.median(shares):.2%} ({min(shares):.2%} to {max(shares):.2%}) |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("| fusion | rows | seconds with | without | ratio, median (range) | the comparison's own share |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        os.environ["PLAIT_CACHE"] = str(Path(place) / "cache")
        reference = encoder(Path(place) / "bert")
        for fusion in ("concat", "self_attention"):
            measure(fusion, given.rows, given.repeats, Path(place), reference)


if __name__ == "__main__":
    main()
