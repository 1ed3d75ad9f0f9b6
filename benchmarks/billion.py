"""What many pairs of photo and caption would take, from what one core of this machine does, measured now.

Measured: decoding and preparing a JPEG of 640 x 480, encoding it (EfficientNet-Lite0) and a caption of sixteen tokens
(MiniLM) in processor seconds of one thread; operations of both; bytes of an item in the feature store and of its key in
memory once a space is open; and, of the default retrieval model of many rows on stored features (two trained towers of
512 a side, one in closed form, a bag of 50,000 words and pairs, batches of 512), reading a pair into a batch and
training on it, by Plait's Trainer, in steady state: from the tenth step on, until ``--seconds`` have passed. Everything
else is multiplication; prices are those that are given.

Run: OMP_NUM_THREADS=1 python benchmarks/billion.py [--pairs 1e6,1e8,1e9] [--core-hour 0.04] [--terabyte-month 23]
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from measure import arguments, table
from plait.encoders.load import load_encoder
from plait.inputs.dataset import RowBatches
from plait.inputs.feature_store import FeatureStore
from plait.inputs.words import WordSource
from plait.model import PlaitConfig, PlaitModel
from plait.processors.words import MAX_WORDS, WordProcessor
from plait.settings import TrainSettings
from plait.training.deadline import RESERVED, Deadline
from plait.training.recipes.retrieval import WORDS as BAG
from plait.training.recipes.two_sides import TOWER, towers
from plait.training.trainer import train_model

WORDS = "a man riding a wave on top of a surfboard in the ocean".split()
REPEATS = 4
KEYS = 200_000
COPIES, DROPOUT, WORD_DROPOUT, BATCH, EPOCHS = 3, 0.4, 0.2, 512, 12  # of the default retrieval model
INDEX_WIDTH = COPIES * TOWER + 4  # with its correction for hubs
PAIRS, VOCABULARY = 32_768, 20_000  # of what trains
WARM_STEPS = 10


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


def stored_pairs(folder: Path, wide: int, narrow: int) -> RowBatches:
    """Pairs whose features lie in a store, with captions whose words are cut as they come."""
    rng = np.random.default_rng(0)
    keys = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(PAIRS)]
    captions = [" ".join(f"w{i}" for i in (VOCABULARY * rng.random(len(WORDS)) ** 3).astype(int)) for _ in keys]
    sources: dict[str, Any] = {}
    for name, width in (("photo", wide), ("caption", narrow)):
        space = FeatureStore(folder).space(name, {})
        space.put(keys, rng.standard_normal((PAIRS, width), dtype=np.float32))
        sources[name] = space.gather(keys)
    known = WordProcessor.fit(captions)
    assert known is not None
    sources["caption"] = WordSource(sources["caption"], known, captions.__getitem__, "none")
    return RowBatches(sources, np.tile(np.arange(PAIRS)[:, None], (1, 2)), np.zeros(PAIRS, dtype=np.float32))


def reading(rows: RowBatches) -> float:
    """Pairs a processor second from store and table to the tensors of a batch, words cut anew."""
    order = np.random.default_rng(1).permutation(PAIRS)
    began = time.process_time()
    for start in range(0, PAIRS, BATCH):
        rows.__getitems__(order[start : start + BATCH].tolist())
    return PAIRS / (time.process_time() - began)


def retrieval_model(wide: int, narrow: int) -> PlaitModel:
    """As the default recipe builds it."""
    words = {"num_words": MAX_WORDS, "width": BAG, "dropout": WORD_DROPOUT}
    outside = {"token_dim": None, "encoder": None}
    modalities = [
        {"name": "photo", "kind": "image", "vector_dim": wide, **outside},
        {"name": "caption", "kind": "text", "vector_dim": narrow + BAG, **outside, "words": words},
    ]
    fusion = towers(copies=COPIES, dropout=DROPOUT, canonical=True)
    fusion["options"]["canonical"] = [wide, narrow]
    head = {"name": "towers", "dropout": 0.0, "options": {"loss": "infonce", "positives": "group", "hubs": True}}
    torch.manual_seed(0)
    return PlaitModel(PlaitConfig(modalities=modalities, fusion=fusion, head=head, task="retrieval", num_outputs=1))


def training(model: PlaitModel, rows: RowBatches, seconds: float) -> tuple[float, float]:
    """Pairs a processor second of Plait's Trainer, reading included, and the same by the clock."""
    marks: list[tuple[int, float, float]] = []

    def note(done: int, total: int, what: str) -> None:
        marks.append((done, time.process_time(), time.perf_counter()))

    settings = TrainSettings(
        seed=0, epochs=math.ceil(1e6 / PAIRS), batch_size=BATCH, optimizer="adamw", learning_rate=1e-3,
        weight_decay=0.01, schedule="cosine", warmup=0.05, patience=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        limit = Deadline(seconds / (1 - RESERVED))
        train_model(model, rows, settings, Path(folder) / "r", checkpoints=False, progress=note, deadline=limit)
    first, last = marks[WARM_STEPS - 1], marks[-1]
    pairs = BATCH * (last[0] - first[0])
    return pairs / (last[1] - first[1]), pairs / (last[2] - first[2])


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=None,
        options={"--pairs": "1e6,1e8,1e9", "--core-hour": "0.04", "--terabyte-month": "23", "--seconds": "30"},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    photos = [photo(rng) for _ in range(32)]
    prepare, see, photo_flops, wide = measured("efficientnet-lite0", "image", photos)
    _, read, text_flops, narrow = measured("minilm", "text", [" ".join(rng.permutation(WORDS)) for _ in range(64)])
    with tempfile.TemporaryDirectory() as folder:
        rows = stored_pairs(Path(folder), wide, narrow)
        model = retrieval_model(wide, narrow)
        fetch = reading(rows)
        rows.before_epoch = rows.sources["caption"]._cut.clear  # type: ignore[attr-defined]
        learn, by_clock = training(model, rows, float(given.seconds))
    key = bytes_a_key()
    original = float(np.mean([len(p) for p in photos]))
    print(
        f"a processor second: {prepare:.0f} photos decoded and prepared, {see:.1f} encoded ({photo_flops / 1e9:.2f} "
        f"GFLOP each), {read:.0f} captions encoded ({text_flops / 1e9:.2f} GFLOP); an open space takes {key:.0f} bytes "
        "of memory a key\n"
        f"retrieval on stored features, batches of {BATCH}, {sum(map(torch.numel, model.parameters())) / 1e6:.1f} "
        f"million weights: a processor second reads {fetch:,.0f} pairs, or reads and trains {learn:,.0f}; a second of "
        f"the clock, shared with whatever else ran, {by_clock:,.0f}\n"
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
    epoch = []
    for pairs in (float(p) for p in given.pairs.split(",")):
        days = [pairs / one / 86_400 for one in (fetch, learn)]
        once = sum(pairs / one / 86_400 for one in (prepare, see, read))
        epoch.append([
            f"{pairs:,.0f}", *(f"{d:,.3f}" for d in days), f"{24 * days[1]:,.1f}",
            f"{24 * days[1] * hour:,.1f}", f"{24 * EPOCHS * days[1] * hour:,.0f}", f"{once / days[1]:,.1f}",
        ])  # fmt: skip
    print()
    table(
        ["pairs", "an epoch reads, core days", "reads and trains, core days", "hours on one core",
         "its price", f"price of {EPOCHS}", "encoding once takes, epochs"],
        epoch,
    )  # fmt: skip


if __name__ == "__main__":
    main()
