"""Calibration and coverage on test rows: log loss and ECE before and after, sets and intervals at 80, 90 and 95 %.

A part of the training rows is kept for calibration (whole groups); the other rows train as ever. ``mosi, text often
missing`` hides the text of a third of the rows, in every part, so that coverage can be told by pattern.

Two checks need no new training. Known temperatures: classes are drawn from known probabilities, the logits are
multiplied by T, and T is looked for. Coverage over 100 splits: the test rows of one model are cut in halves again and
again, one half calibrates, the other is judged, each row by itself; how many rows of the other half are covered is then
beta-binomial, so the share of splits inside its central 95 % can be told exactly.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, line, quiet, spread, table
from plait.api.evaluation import open_evaluation
from plait.evaluation.trust import fit_calibration
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.metrics.trust.conformal import quantile_rank
from plait.tasks.calibrators import Temperature
from published_features import Columns, mosi, rosmap

SETTINGS = ["train.baselines=false", "judge.missing_rows=0"]
LEVELS = (0.8, 0.9, 0.95)
TEMPERATURES = (0.5, 2.5, 10.0)
DRAWN_ROWS = 200_000
HALVED = ("mosi", "mosi, text often missing")


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


def known_temperatures(seeds: int) -> list[list[str]]:
    """Temperatures that were put in and those found."""
    rows = []
    for true in TEMPERATURES:
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            logits_NC = rng.normal(scale=2.0, size=(DRAWN_ROWS, 5))
            uniform_NC = rng.gumbel(size=logits_NC.shape)
            found.append(Temperature.fit(true * logits_NC, (logits_NC + uniform_NC).argmax(1)).temperature)
        worst = max(abs(t / true - 1) for t in found)
        rows.append([f"{true:g}", spread(found), f"{worst:.2%}"])
    return rows


def split_rows(name: str, data: Path, splits: int) -> list[list[str]]:
    """Coverage over random halves of the test rows of one model, of all rows and by pattern."""
    columns, roles = {"mosi": mosi, "mosi, text often missing": mosi_missing}[name](data / "published")
    fitted = plait.fit(
        columns, "label", split="split", progress=quiet, preset="single", set=SETTINGS, **roles
    )  # fmt: skip
    whole = replace(open_evaluation(fitted, columns, rows="test"), group=None)
    present_NM = whole.prepared.rows.present_NM[whole.positions]
    counts: dict[tuple[str, str, float], list[tuple[int, int, int]]] = {}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(whole.positions))
        halves = [np.sort(half) for half in np.array_split(order, 2)]
        parts = [
            replace(whole, positions=whole.positions[half], target=whole.target[half],
                    values=[whole.values[int(i)] for i in half])
            for half in halves
        ]  # fmt: skip
        found = fit_calibration(parts[0], seed=seed)
        judged = replace(parts[1], calibration=found)
        there_NM = present_NM[halves[1]]
        logits = predict_logits(judged.answers, RowBatches(whole.prepared.sources, _index(judged)))
        proba = judged.task.activate(logits, judged.labels)
        names = [" + ".join(np.array(found.names)[row]) for row in there_NM]
        for level in LEVELS:
            for method in ("lac", "aps"):
                inside = found.sets(proba, there_NM, level, method)[0][np.arange(len(proba)), judged.target]
                for pattern in dict.fromkeys(names):
                    own = np.array([n == pattern for n in names])
                    scoring = found.rows_for(there_NM[own][0].tolist())
                    assert scoring is not None
                    key = (pattern, method, level)
                    counts.setdefault(key, []).append((int(inside[own].sum()), int(own.sum()), len(scoring)))
    return [[name, pattern, method, f"{level:g}", *_exact(level, found)] for (pattern, method, level), found in
            counts.items()]  # fmt: skip


def _index(given: Any) -> np.ndarray:
    return np.asarray(given.prepared.rows.index_NM[given.positions])


def _exact(level: float, found: list[tuple[int, int, int]]) -> list[str]:
    """Mean coverage, what is expected exactly, and the share of splits inside the central 95 %."""
    from scipy.stats import betabinom

    shares, expected, inside = [], [], []
    for covered, rows, scoring in found:
        rank = quantile_rank(scoring, level)
        law = betabinom(rows, rank, scoring + 1 - rank)
        low, high = law.ppf(0.025), law.ppf(0.975)
        shares.append(covered / rows)
        expected.append(rank / (scoring + 1))
        inside.append(low <= covered <= high)
    return [f"{found[0][2]}, {found[0][1]}", spread(shares), f"{statistics.fmean(expected):.3f}",
            f"{statistics.fmean(inside):.2f}"]  # fmt: skip


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
        options={"--share": "0.2", "--splits": "100", "--sets": "rosmap;mosi;mosi, text often missing;houses;posts"},
    )  # fmt: skip
    table(["T put in", "found, mean (range)", "farthest off"], known_temperatures(given.seeds))
    halved = [row for name in HALVED for row in split_rows(name, given.data, int(given.splits))]
    head = ["table", "rows with", "how", "promised", "rows that score, judged", "covered, mean (range)", "expected",
            "splits inside the exact 95 %"]  # fmt: skip
    table(head, halved)
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
