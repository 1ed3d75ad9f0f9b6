"""Wrong labels found: 5 % of the labels of real tables are flipped, and the trust report looks for them.

A table's labels are flipped in 5 % of its rows, to another class drawn evenly; a model is fitted on it, and
``evaluate(trust=True)`` names the rows whose label is probably wrong. Precision: the share of those whose label was
flipped; recall: the share of the flipped rows that are named. Labels that were wrong before count against precision.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, quiet, spread, table
from plait.data.table import Table, read_table

NOISE = 0.05
IDLE = ["text_fr", "text_zh_CN", "audio", "sound"]
QUICK = ["train.epochs=3", "ensemble.members=[]", "ensemble.folds=1"]


def tables(base: Path, stamps: str) -> dict[str, tuple[Table, str, dict[str, Any]]]:
    """Name -> table, target and options of the fit."""
    found: dict[str, tuple[Table, str, dict[str, Any]]] = {}
    if stamps:
        found["stamps (picture, text)"] = (
            read_table(Path(stamps) / "table.csv"), "category",
            {"image": "image", "text": "text_en", "id": "id", "ignore": IDLE},
        )  # fmt: skip
    wiki = base / "published" / "wiki_rasiwasia2010.npz"
    if wiki.is_file():
        found["wiki (ready vectors)"] = (read_table(wiki), "label", {})
    sounds = base / "esc10-sounds" / "sounds.csv"
    if sounds.is_file():
        found["ESC-10 (sound)"] = (
            read_table(sounds), "label",
            {"audio": "audio", "ignore": "fold", "set": ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=5"]},
        )  # fmt: skip
    posts = base / "posts-sentiment" / "posts.csv"
    if posts.is_file():
        found["posts (photo, text)"] = (read_table(posts), "sentiment", {})
    return found


def flipped(labels: list[Any], seed: int) -> tuple[list[Any], np.ndarray]:
    """Labels of which 5 % were given another class, and which."""
    rng = np.random.default_rng(seed)
    classes = sorted(set(labels))
    chosen = rng.choice(len(labels), round(NOISE * len(labels)), replace=False)
    given = list(labels)
    for row in chosen:
        given[row] = rng.choice([c for c in classes if c != labels[row]]).item()
    is_flipped = np.zeros(len(labels), dtype=bool)
    is_flipped[chosen] = True
    return given, is_flipped


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="", seeds=3, options={"--stamps": "", "--only": ""})
    body = []
    for name, (rows, target, options) in tables(given.data, given.stamps).items():
        if given.only and given.only not in name:
            continue
        found = []
        for seed in range(given.seeds):
            labels, is_flipped = flipped(rows.column(target), seed)
            noisy = rows.with_column(target, labels)
            settings = {**options, "set": [*QUICK, *options.get("set", ())]}
            fitted = plait.fit(noisy, target, seed=seed, progress=quiet, **settings)
            started = time.monotonic()
            trust = fitted.evaluate(noisy, trust=True, on_bad_row="missing")["evaluation"]["trust"]["label_errors"]
            chosen = trust["candidate_rows"]
            right = sum(bool(is_flipped[row]) for row in chosen)
            found.append({
                "table": name, "seed": seed, "rows": len(rows), "flipped": int(is_flipped.sum()), "named": len(chosen),
                "precision": right / max(1, len(chosen)), "recall": right / is_flipped.sum(),
                "accuracy": trust["accuracy"], "s": time.monotonic() - started,
            })  # fmt: skip
            print(json.dumps(found[-1]), flush=True)
        body.append([
            name, f"{len(rows):,}", spread([f["accuracy"] for f in found]),
            spread([float(f["named"]) for f in found], 0),
            spread([f["precision"] for f in found]), spread([f["recall"] for f in found]),
        ])  # fmt: skip
    table(["table", "rows", "linear models right", "rows named", "precision", "recall of the 5 %"], body)


if __name__ == "__main__":
    main()
