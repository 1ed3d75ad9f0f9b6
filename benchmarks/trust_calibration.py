"""Calibration and coverage on test rows: log loss and ECE before and after, sets and intervals at 80, 90 and 95 %.

A part of the training rows is kept for calibration (whole groups); the other rows train as ever. ``mosi, text often
missing`` hides the text of a third of the rows, in every part, so that coverage can be told by pattern.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, line, quiet
from published_features import Columns, mosi, rosmap

SETTINGS = ["train.baselines=false", "judge.missing_rows=0"]
LEVELS = (0.8, 0.9, 0.95)


def mosi_missing(folder: Path) -> tuple[Columns, dict[str, Any]]:
    """MOSI where a third of the rows lack their text."""
    columns, roles = mosi(folder)
    gone = np.random.default_rng(0).random(len(columns["label"])) < 1 / 3
    columns["text"] = [None if g else cell for cell, g in zip(columns["text"], gone, strict=True)]
    return columns, roles


def trust_of(name: str, data: Path, seed: int, share: float) -> dict[str, Any]:
    """The trust part of one run's report."""
    options: dict[str, Any] = {
        "split": "split", "seed": seed, "progress": quiet, "preset": "single", "set": SETTINGS, "calibration": share,
    }  # fmt: skip
    if name == "posts":
        fitted = plait.fit(data / "posts-sentiment" / "posts.csv", "sentiment", **options)
    elif name == "houses":
        fitted = plait.fit(data / "houses" / "houses.csv", "price", categorical="zipcode", **options)
    else:
        makers = {"mosi": mosi, "mosi, text often missing": mosi_missing, "rosmap": rosmap}
        columns, roles = makers[name](data / "published")
        fitted = plait.fit(columns, "label", **roles, **options)
    found: dict[str, Any] = {**fitted.report["evaluation"]["trust"], "test": fitted.report["splits"]["test"]}
    return found


def calibration_row(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """Errors before and after, means over the seeds."""
    parts = [r["calibration"] for r in runs]
    kept = [p.get("calibrator") or "none" for p in parts]
    cells = [
        name,
        str(runs[0]["test"]),
        str(parts[0]["rows"]),
        ", ".join(f"{k} {kept.count(k)}" for k in sorted(set(kept))),
    ]
    for metric in ("log_loss", "ece", "brier"):
        after = [p["metrics"][metric]["value"] for p in parts]
        before = [p.get("before", p["metrics"])[metric]["value"] for p in parts]
        cells.append(f"{statistics.fmean(before):.3f} -> {statistics.fmean(after):.3f}")
    return [*cells, f"{statistics.fmean(p['perfect']['mean'] for p in parts):.3f}"]


def coverage_rows(name: str, runs: list[dict[str, Any]]) -> list[list[str]]:
    """Coverage and size at each level by each method, means over the seeds; then by pattern at 90 %."""
    rows = []
    first = runs[0]["conformal"]["levels"]
    for number, level in enumerate(first):
        same = [r["conformal"]["levels"][number] for r in runs]
        rows.append([name, "all", level["method"], f"{level['coverage']:g}", *_covered(same)])
        for place, part in enumerate(level["patterns"] if level["coverage"] == 0.9 else []):
            own = [s["patterns"][place] for s in same]
            rows.append([name, part["present"], level["method"], f"{level['coverage']:g}", *_covered(own)])
    return rows


def _covered(parts: list[dict[str, Any]]) -> list[str]:
    shares = [p["covered"]["value"] for p in parts if p["covered"]["value"] is not None]
    sizes = [p["size"] for p in parts if p["size"] is not None]
    span = f"{statistics.fmean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})"
    return [str(parts[0]["rows"]), span, f"{statistics.fmean(sizes):.3g}"]


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data="", seeds=5,
        options={"--share": "0.2", "--sets": "rosmap;mosi;mosi, text often missing;houses;posts"},
    )  # fmt: skip
    made, coverage = [], []
    for name in given.sets.split(";"):
        began = time.process_time()
        runs = [trust_of(name, given.data, seed, float(given.share)) for seed in range(given.seeds)]
        if runs[0]["calibration"]["applicable"]:
            made.append(calibration_row(name, runs))
        coverage += coverage_rows(name, runs)
        print(f"({name}: {(time.process_time() - began) / given.seeds:.0f} processor seconds a run)", flush=True)
    for head, body in (
        (
            ["table", "test rows", "calibration rows", "kept", "log loss", "ECE", "Brier", "ECE of a perfect model"],
            made,
        ),
        (["table", "rows with", "how", "promised", "rows", "covered, mean (range)", "mean size"], coverage),
    ):
        print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in body:
            line(row)


if __name__ == "__main__":
    main()
