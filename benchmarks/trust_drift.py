"""Drift between real tables: random halves of one source, another source, and the same photos damaged.

Posts are cut in two at random (no alarm is right), compared with captions of photos of another data set, and with
themselves with their photos damaged at severity 3 (an alarm is right).

Foreign rows: how well the scores of the trust report tell rows with another row's modality, and rows of a class that
means and covariance were fitted without, from known ones (AUROC; foreign rows are the positive class, 0.5 is a coin).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, quiet, spread, table
from plait.data.modality import Modality
from plait.data.split import carve_validation
from plait.data.table import read_table
from plait.evaluation.trust.corruptions.columns import corrupted

DAMAGE = ("image_blur", "image_noise", "image_contrast")
SETTINGS = ["train.baselines=false", "judge.missing_rows=0", "judge.corrupted_rows=0"]


def wiki(data: Path) -> dict[str, list[Any]]:
    """Counts of visual words and topic shares of Wikipedia articles, ten categories."""
    with np.load(data / "published" / "wiki_rasiwasia2010.npz", allow_pickle=False) as parts:
        image, text, label = (np.concatenate([parts[f"{n}_tr"], parts[f"{n}_te"]]) for n in ("I", "T", "y"))
        split = ["train"] * len(parts["y_tr"]) + ["test"] * len(parts["y_te"])
    split = list(carve_validation(split, target=label.tolist(), fraction=0.2, seed=0))
    return {"image": list(image), "text": list(text), "label": [f"c{c}" for c in label], "split": split}


def foreign(name: str, rows: Any, target: str, seeds: int, **roles: Any) -> list[list[str]]:
    """AUROC of every score, for each modality swapped and for the mean class held out."""
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(seeds):
        fitted = plait.fit(
            rows, target, split="split", seed=seed, preset="single", progress=quiet, set=SETTINGS, **roles
        )  # fmt: skip
        part = fitted.evaluate(rows, trust=True, progress=quiet)["evaluation"]["trust"]["ood"]
        for one in part["swapped"]:
            found.setdefault((f"another row's {one['modality']}", one["score"]), []).append(one["auroc"])
        for score, auroc in part["mean"].items():
            found.setdefault(("a class held out", score), []).append(auroc)
    return [[name, what, score, spread(values, 2)] for (what, score), values in found.items()]


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data="posts-sentiment", seeds=20, options={"--rows": "600", "--damaged": "120", "--fits": "3"}
    )
    posts = read_table(given.data / "posts.csv")
    body = []

    def compared(name: str, a: object, b: object, seed: int) -> bool:
        began = time.monotonic()
        found = plait.drift(a, b, target="sentiment", ignore=["split"], seed=seed, progress=quiet)
        told = {m["modality"]: round(m["classifier"]["auroc"], 3) for m in found["modalities"]}
        alarms = [t["modality"] for t in found["modalities"] if t["alarm"]]
        alarms += [c["column"] for c in found["columns"] if c["alarm"]]
        line = {"case": name, "alarm": found["alarm"], "auroc": told, "alarms": alarms, "s": time.monotonic() - began}
        print(json.dumps(line), flush=True)
        body.append([name, "yes" if found["alarm"] else "no", str(told), ", ".join(alarms)])
        return bool(found["alarm"])

    false = 0
    for seed in range(given.seeds):
        order = np.random.default_rng(seed).permutation(len(posts))[: int(given.rows)]
        half = len(order) // 2
        false += compared(f"halves {seed}", posts.take(order[:half]), posts.take(order[half:]), seed)
    order = np.random.default_rng(0).permutation(len(posts))
    some = int(given.damaged)
    known, other = posts.take(order[: 3 * some]), posts.take(order[3 * some : 4 * some])
    for name in DAMAGE:
        compared(name, known, corrupted(other, Modality("image", "image", ("image",)), name, 3), 0)
    captions = json.loads((given.data.parent / "flickr8k-2k" / "annotations" / "captions_test.json").read_text("utf-8"))
    texts = {c["image_id"]: c["caption"] for c in captions["annotations"]}
    swapped = other.with_column("text", list(texts.values())[: len(other)])
    compared("captions in place of posts", known, swapped, 0)
    print(f"{false} of {given.seeds} pairs of halves gave an alarm")
    table(["case", "alarm", "AUROC by modality", "what differs"], body[given.seeds :])
    fits = int(given.fits)
    told = foreign("posts", posts, "sentiment", fits)
    told += foreign("wiki", wiki(given.data.parent), "label", fits, vector=["image", "text"])
    table(["table", "foreign rows", "score", "AUROC, mean (range)"], told)


if __name__ == "__main__":
    main()
