"""A process that encodes texts and counts them: `encoding_process.py ROOT COUNTS FIRST LAST SECONDS_A_BATCH`.

It says "ready", starts at a line on its standard input, appends the size of each forward to COUNTS and says "done" when
every answer is right.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from fixtures.fake_features import FakeEncoder, FakeText, key_of
from plait.inputs.feature_store import FeatureStore, encode_items


class Counting(FakeEncoder):
    """Slow, and every forward is noted before it is done."""

    def __init__(self, counts: Path, seconds: float) -> None:
        super().__init__()
        self.counts, self.seconds = counts, seconds

    def forward(self, input_ids: object) -> object:
        with self.counts.open("a") as file:
            file.write(f"{len(input_ids)}\n")
        time.sleep(self.seconds)
        return super().forward(input_ids)


def main(root: str, counts: str, first: str, last: str, seconds: str) -> None:
    texts = [f"text number {n}" for n in range(int(first), int(last))]
    whats = set()
    encoder = Counting(Path(counts), float(seconds))
    print("ready", flush=True)
    sys.stdin.readline()
    features, _ = encode_items(
        FeatureStore(root), encoder, FakeText(), [key_of(text) for text in texts], texts.__getitem__, batch_size=8,
        progress=lambda done, total, what: whats.add(what),
    )  # fmt: skip
    sums = features.take(np.arange(len(texts)))["vector_BD"][:, 0].tolist()
    assert sums == [float(sum(map(ord, text))) for text in texts]
    print("done, waited" if any("waiting" in what for what in whats) else "done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
