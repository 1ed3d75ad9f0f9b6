"""``plait compare`` over every fusion on four data sets: posts, houses, questions about pictures, captions of photos.

Posts are compared with the command's own budget. The other three are cut so that the whole script ends within about an
hour on two cores, and say how: fewer training rows or epochs, pictures at 96 px (9 tokens), no search. Test rows are
never cut. ``--only posts`` runs one of them.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plait
from measure import arguments, quiet, table
from plait.data.catalog.datasets import fetch_dataset

QUESTIONS_FROM = 400  # training pictures of easy-VQA
PHOTOS_FROM = 200  # training photos of flickr8k-2k


def posts(base: Path, _: Path) -> tuple[Any, dict[str, Any]]:
    """All of posts-sentiment, search of three configurations."""
    return base / "posts-sentiment" / "posts.csv", {"target": "sentiment", "split": "split"}


def houses(base: Path, _: Path) -> tuple[Any, dict[str, Any]]:
    """All houses, two of the four photos (frontal, kitchen) and the numbers, photos at 96 px, no search, 5 epochs."""
    return base / "houses" / "houses.csv", {
        "target": "price", "split": "split", "categorical": "zipcode", "search": 1, "epochs": 5,
        "ignore": ["bathroom", "bedroom"], "set": ["encoders.image_size=96"],
    }  # fmt: skip


def easy_vqa(base: Path, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Questions about 400 training pictures of easy-VQA, official test questions, no search."""
    source = fetch_dataset("easy-vqa", folder / "easy-vqa")
    with source.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = [r for r in rows if r["split"] != "train" or int(r["image_id"].split("-")[1]) < QUESTIONS_FROM]
    cut = source.with_name("cut.csv")
    with cut.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(kept)
    return cut, {"target": "answer", "split": "split", "group": "image_id", "search": 1, "epochs": 4}


def matching(base: Path, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Captions of 200 training photos of flickr8k-2k, all validation and test photos, at 96 px, no search, 5 epochs."""
    source, made = base / "flickr8k-2k", folder / "coco"
    (made / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        os.symlink((source / split).resolve(), made / split)
        found = json.loads((source / "annotations" / f"captions_{split}.json").read_text(encoding="utf-8"))
        if split == "train":
            found["images"] = found["images"][:PHOTOS_FROM]
            ids = {image["id"] for image in found["images"]}
            found["annotations"] = [a for a in found["annotations"] if a["image_id"] in ids]
        (made / "annotations" / f"captions_{split}.json").write_text(json.dumps(found), encoding="utf-8")
    return made, {
        "format": "coco", "task": "matching", "search": 1, "epochs": 5,
        "set": ["encoders.image_size=96", "fusion.width=256"],
    }  # fmt: skip


DATA: dict[str, Callable[[Path, Path], tuple[Any, dict[str, Any]]]] = {
    "posts": posts, "houses": houses, "easy-vqa": easy_vqa, "matching": matching,
}  # fmt: skip


def show(name: str, report: dict[str, Any]) -> None:
    """A comparison as Markdown."""
    metric = report["metric"]["name"]
    print(f"\n## {name}: {DATA[name].__doc__}\n\n{report['verdict']}\n")
    body = []
    listed = [m for m in report["methods"] if m["status"] == "ok"]
    for m in sorted(listed, key=lambda m: m["rank"]["value"]):
        value, rank, cost = m["metric"], m["rank"], m["cost"]
        body.append(
            [
                m["name"] + (" (chosen on validation)" if m["name"] == report["selected"] else ""),
                f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]",
                f"{value['spread']:.3f}",
                f"{rank['value']:g} ({rank['low']:g} to {rank['high']:g})",
                f"{m['validation']['value']:.3f}",
                f"{cost['parameters']:,}",
                f"{cost['train_seconds']:.1f}",
                f"{cost['memory_bytes'] / 1e6:.0f}",
            ]
        )
    table(
        ["method", f"{metric} [95% interval]", "spread over seeds", "place", "validation", "parameters", "s", "MB"],
        body,
    )
    for m in report["methods"]:
        if m["status"] != "ok":
            print(f"- {m['name']}: {m['status']}: {m['reason']}")
    print(f"\n{report['runs']['trained']} runs in {report['runs']['seconds']:,.0f} s.", flush=True)


def main() -> None:
    """Run and print."""
    only = sys.argv.pop(sys.argv.index("--only") + 1) if "--only" in sys.argv else None
    if only:
        sys.argv.remove("--only")
    given = arguments(__doc__ or "", data=".")
    for name, make in DATA.items():
        if only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            source, options = make(given.data, Path(folder))
            show(name, plait.compare(source, seeds=given.seeds, progress=quiet, **options).report)


if __name__ == "__main__":
    main()
