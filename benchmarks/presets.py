"""Which preset should be the default: rows dealt anew, measured on rows that chose nothing; test rows are not touched.

The training and validation rows of each table are dealt anew for every seed, groups whole: 60 % to train, 20 % to
validate (they choose epochs, penalties, members and weights), and the last 20 % are what the numbers below are of.
Differences to one network (``single``) are paired by seed; the interval is that of Student's t over the seeds.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

import plait
from ensemble import TABLES
from measure import arguments, kept_or_made, metric, quiet, table
from plait.data.table import Table, read_table
from training_choices import difference

PRESETS: dict[str, tuple[str, list[str]]] = {
    "single": ("single", []),
    "fast": ("fast", []),
    "fast + alone": ("fast", ["ensemble.members=[alone,linear,ngrams,trees]"]),
    "best": ("best", []),
}
WANTED = {"classification": ("log_loss", "accuracy", "f1_macro"), "regression": ("rmse", "mae", "r2")}


def dealt(rows: Table, how: dict[str, Any], seed: int) -> Table:
    """The rows that are no test rows, their split dealt anew."""
    split = np.array(rows.column(how["split"]))
    groups = rows.column(how["group"]) if "group" in how else list(range(len(rows)))
    kept = np.flatnonzero(split != "test")
    of = np.unique([groups[i] for i in kept], return_inverse=True)[1]
    share = (np.random.default_rng([seed, 14]).permutation(of.max() + 1) / (of.max() + 1))[of]
    part = np.where(share < 0.6, "train", np.where(share < 0.8, "val", "test"))
    return rows.take(kept).with_column(how["split"], part.tolist())


def one(rows: Table, how: dict[str, Any], preset: str, seed: int) -> dict[str, Any]:
    """Fit, and the numbers of the rows that chose nothing."""
    name, settings = PRESETS[preset]
    started = time.monotonic()
    report = plait.fit(
        dealt(rows, how, seed),
        **{**how, "set": [*how.get("set", []), *settings, "judge.missing_rows=0"]},
        preset=name, seed=seed, progress=quiet,
    ).report  # fmt: skip
    return {k: metric(report, k) for k in WANTED[report["task"]]} | {"seconds": time.monotonic() - started}


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=9,
        options={"--only": "posts,houses,mosi,rosmap", "--presets": ",".join(PRESETS), "--kept": ""},
    )  # fmt: skip
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        rows = read_table(source)
        found: dict[str, list[dict[str, Any]]] = {preset: [] for preset in given.presets.split(",")}
        for seed in range(given.seeds):
            for preset, runs in found.items():
                run = {"table": name, "preset": preset, "seed": seed}
                runs.append(kept_or_made(given.kept, run, partial(one, rows, how, preset, seed)))
        wanted = [k for k in next(iter(found.values()))[0] if k in (*WANTED["classification"], *WANTED["regression"])]
        print(f"\n{name}, {given.seeds} seeds: mean, and difference to single\n")
        body = []
        for preset, runs in found.items():
            cells = [f"{np.mean([r[k] for r in runs]):.3f}" for k in wanted]
            gaps = [
                "" if preset == "single" else difference([r[k] for r in runs], [r[k] for r in found["single"]])
                for k in wanted
            ]
            body.append([preset, *cells, *gaps, f"{np.mean([r['seconds'] for r in runs]):.0f}"])
        table(["preset", *wanted, *(f"{k}, difference" for k in wanted), "seconds"], body)


if __name__ == "__main__":
    main()
