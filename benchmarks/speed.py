"""Time of ten epochs of matching on flickr8k-2k: Plait with a cold and a warm feature store, and a naive loop.

The naive loop is what a notebook does: both frozen encoders run on every pair in every epoch (no gradients through
them), same encoders, same image size, same batch size, then fusion and head. One naive epoch is measured on a part of
the pairs and scaled to ten whole epochs, and the output says so. Everything runs in this one process.
"""

from __future__ import annotations

import os
import tempfile
import time

import torch

import plait
from measure import arguments, table
from plait.data.media import read_media
from plait.data.sources import open_source
from plait.encoders.load import load_encoder
from plait.fusion import ConcatFusion, EncodedDims
from plait.settings import DataSettings

EPOCHS = 10
BATCH = 64
MEASURED = 1024


def naive_epoch(data: str, image_size: int) -> tuple[float, int]:
    """Seconds of one naive epoch over all training pairs, scaled from ``MEASURED`` of them."""
    opened = open_source(data, DataSettings(format="coco"), task="matching").table
    rows = [r for r in opened.arrow.to_pylist() if r["split"] == "train"]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:MEASURED].tolist()
    text, text_processor = load_encoder("minilm", "text")
    image, image_processor = load_encoder("efficientnet-lite0", "image", image_size)
    fusion = ConcatFusion([EncodedDims(image.vector_dim), EncodedDims(text.vector_dim)], 256)
    head = torch.nn.Linear(256, 2)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], lr=1e-3)
    started = time.monotonic()
    for start in range(0, MEASURED, BATCH):
        batch = [rows[i] for i in order[start : start + BATCH]]
        with torch.no_grad():
            images = image(**image_processor.process([read_media(r["image"], opened.root) for r in batch]))
            texts = text(**text_processor.process([r["caption"] for r in batch]))
        fused = fusion([images, texts], torch.ones(len(batch), 2, dtype=torch.bool)).fused_BD
        loss = torch.nn.functional.cross_entropy(head(fused), torch.tensor([int(r["match"]) for r in batch]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return (time.monotonic() - started) / MEASURED * len(rows), len(rows)


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="flickr8k-2k", seeds=2)
    image_size = 224
    body = []
    weights = os.path.join(os.environ.get("PLAIT_CACHE", os.path.expanduser("~/.cache/plait")), "weights")
    for run in range(given.seeds):
        with tempfile.TemporaryDirectory() as cache:
            os.symlink(os.path.abspath(weights), os.path.join(cache, "weights"))
            before = os.environ.get("PLAIT_CACHE")
            os.environ["PLAIT_CACHE"] = cache
            spent = {}
            for name in ("cold", "warm"):
                started = time.monotonic()
                fitted = plait.fit(
                    given.data, format="coco", task="matching", seed=run, epochs=EPOCHS,
                    set=["train.baselines=false", "train.patience=0"],
                )  # fmt: skip
                spent[name] = time.monotonic() - started
            training = fitted.report["facts"]["training_seconds"]
            if before is None:
                del os.environ["PLAIT_CACHE"]
            else:
                os.environ["PLAIT_CACHE"] = before
        epoch, pairs = naive_epoch(given.data, image_size)
        naive = epoch * EPOCHS
        body.append(
            [
                str(run), f"{naive:,.0f}", f"{spent['cold']:.1f}", f"{spent['warm']:.1f}", f"{training:.1f}",
                f"{naive / spent['cold']:.0f}x", f"{naive / training:.0f}x",
            ]
        )  # fmt: skip
    print(f"naive: one epoch scaled from {MEASURED} of {pairs:,} pairs, times {EPOCHS}\n")
    table(
        [
            "run",
            "naive s",
            "Plait cold s",
            "Plait warm s",
            "of it training s",
            "cold ratio",
            "warm training ratio",
        ],
        body,
    )


if __name__ == "__main__":
    main()
