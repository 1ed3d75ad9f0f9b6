"""Choosing the design of the matching default on flickr8k-2k without looking at a test photo.

The script makes a COCO folder of the training and validation photos alone: the official validation photos play the held
out part, and a validation part for choosing epoch and threshold is set aside from the training photos (what ``plait
fit`` does with the official COCO release). Each line changes one setting of the default recipe. Test photos and their
captions are not in that folder.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import plait
from measure import arguments, metric, quiet, spread, table

CHANGES = {
    "default": [],
    "whole photos": ["encoders.image_crops=whole"],
    "six views": ["encoders.image_crops=six"],
    "dropout 0.4": ["fusion.dropout=0.4"],
    "dropout 0.75": ["fusion.dropout=0.75"],
    "batch 1024": ["train.batch_size=1024"],
    "8 epochs": ["train.epochs=8"],
    "224 px, 8 epochs": ["encoders.image_size=224", "train.epochs=8"],
    "words": ["encoders.words=256"],
    "words, 8 epochs": ["encoders.words=256", "train.epochs=8"],
    "words, two towers a side": ["encoders.words=256", "fusion.options={copies: 2}"],
    "three towers a side": ["fusion.options={copies: 3, canonical: true}", "fusion.width=1536"],
    "words, three towers a side": [
        "encoders.words=256",
        "fusion.options={copies: 3, canonical: true}",
        "fusion.width=1536",
    ],
    "no alignment term": ["train.alignment=0"],
}


def without_test(source: Path, folder: Path) -> Path:
    """A COCO folder of copies of the train and val parts of another (links would lead outside of it)."""
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        shutil.copytree(source / split, folder / split, copy_function=shutil.copyfile)
        name = f"captions_{split}.json"
        shutil.copyfile(source / "annotations" / name, folder / "annotations" / name)
    return folder


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="flickr8k-2k", options={"--only": ""})
    body = []
    with tempfile.TemporaryDirectory() as temporary:
        source = without_test(given.data, Path(temporary) / "coco")
        for name, changes in CHANGES.items():
            if given.only and name not in given.only.split(";"):
                continue
            reports = [
                plait.fit(
                    source, format="coco", task="matching", seed=seed, progress=quiet,
                    set=["train.baselines=false", *changes],
                ).report
                for seed in range(given.seeds)
            ]  # fmt: skip
            seconds = [r["facts"]["training_seconds"] for r in reports]
            body.append(
                [name]
                + [spread([metric(r, m) for r in reports]) for m in ("accuracy", "auroc", "log_loss")]
                + [spread(seconds, 0)]
            )
    head = f"mean of {given.seeds} seeds (range)"
    table(
        ["change", f"accuracy on validation photos, {head}", f"AUROC, {head}", f"log loss, {head}", "training seconds"],
        body,
    )


if __name__ == "__main__":
    main()
