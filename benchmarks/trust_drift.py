"""Drift between real tables: random halves of one source, another source, and the same photos damaged.

Posts are cut in two at random ten times (no alarm is right), compared with captions of photos of another data set, and
with themselves with their photos damaged at severity 3 (an alarm is right).
"""

from __future__ import annotations

import json
import time

import numpy as np

import plait
from measure import arguments, quiet, table
from plait.data.modality import Modality
from plait.data.table import read_table
from plait.evaluation.trust.corruptions.columns import corrupted

DAMAGE = ("image_blur", "image_noise", "image_contrast")


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment", seeds=20, options={"--rows": "600", "--damaged": "120"})
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


if __name__ == "__main__":
    main()
