"""What many pairs of photo and caption would take, from what one core of this machine does, measured now.

Measured: decoding and preparing a JPEG of 640 x 480, encoding it (EfficientNet-Lite0) and a caption of sixteen tokens
(MiniLM) in processor seconds of one thread; operations of both; bytes of an item in the feature store and of its key in
memory once a space is open. Everything else is multiplication; prices are those that are given.

Run: OMP_NUM_THREADS=1 python benchmarks/billion.py [--pairs 1e6,1e8,1e9] [--core-hour 0.04] [--terabyte-month 23]
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from measure import arguments, table
from plait.encoders.load import load_encoder
from plait.inputs.feature_store import FeatureStore

WORDS = "a man riding a wave on top of a surfboard in the ocean".split()
REPEATS = 4
KEYS = 200_000
INDEX_WIDTH = 512  # of the default retrieval model


def photo(rng: np.random.Generator) -> bytes:
    """A smooth picture as JPEG."""
    small = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return file.getvalue()


def rate(work: Callable[[], Any], items: int) -> float:
    """Items a processor second, the best of the repeats."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return items / best


def measured(reference: str, kind: str, items: list[Any]) -> tuple[float, float, float, int]:
    """Prepared and encoded a processor second, operations an item, and the width of a vector."""
    encoder, processor = load_encoder(reference, kind)
    batch = processor.process(items)

    def encode() -> Any:
        with torch.inference_mode():
            return encoder(**batch)

    with FlopCounterMode(display=False) as counter:
        width = encode().vector_BD.shape[1]
    operations = counter.get_total_flops() / len(items)
    return rate(lambda: processor.process(items), len(items)), rate(encode, len(items)), operations, width


def bytes_a_key() -> float:
    """Memory that an item of an open space takes, besides its vector: what was allocated to open it and is still held.

    Files that are mapped are not counted: the system drops their pages when it needs the room.
    """
    with tempfile.TemporaryDirectory() as folder:
        keys = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(KEYS)]
        FeatureStore(folder).space("f", {}).put(keys, np.zeros((KEYS, 1), dtype=np.float32))
        tracemalloc.start()
        space = FeatureStore(folder).space("f", {})
        space.missing(keys[:1])
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return held / len(space)


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=None,
        options={"--pairs": "1e6,1e8,1e9", "--core-hour": "0.04", "--terabyte-month": "23"},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    photos = [photo(rng) for _ in range(32)]
    prepare, see, photo_flops, wide = measured("efficientnet-lite0", "image", photos)
    _, read, text_flops, narrow = measured("minilm", "text", [" ".join(rng.permutation(WORDS)) for _ in range(64)])
    key = bytes_a_key()
    original = float(np.mean([len(p) for p in photos]))
    print(
        f"a processor second: {prepare:.0f} photos decoded and prepared, {see:.1f} encoded ({photo_flops / 1e9:.2f} "
        f"GFLOP each), {read:.0f} captions encoded ({text_flops / 1e9:.2f} GFLOP); an open space takes {key:.0f} bytes "
        "of memory a key\n"
    )
    hour, month = float(given.core_hour), float(given.terabyte_month)
    body = []
    for pairs in (float(p) for p in given.pairs.split(",")):
        days = [pairs / one / 86_400 for one in (prepare, see, read)]
        store = pairs * (4 * (wide + narrow) + 2 * 32) / 1e12
        photos_tb, index = pairs * original / 1e12, pairs * 4 * INDEX_WIDTH / 1e12
        body.append([
            f"{pairs:,.0f}", *(f"{d:,.2f}" for d in days), f"{sum(days) * 24 * hour:,.0f}", f"{store:,.2f}",
            f"{photos_tb:,.1f}", f"{index:,.3f}", f"{(store + photos_tb + index) * month:,.0f}",
            f"{2 * pairs * key / 1e9:,.1f}", f"{pairs * (photo_flops + text_flops) / 1e18:.3f}",
        ])  # fmt: skip
    table(
        ["pairs", "core days: decode", "photos", "captions", "their price", "features, TB", "photos, TB", "index, TB",
         "price a month", "keys in memory, GB", "operations, 1e18"],
        body,
    )  # fmt: skip


if __name__ == "__main__":
    main()
