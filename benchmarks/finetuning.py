"""Encoders frozen, or trained by their last two blocks, by LoRA and in full: on posts and on houses, column by column.

Which columns learn is chosen one by one (``encoders.tuning_of``); those that do not are read from the feature store.
Everything else is the recipe's choice. ``frozen, best`` is what the same time buys with frozen encoders: the preset of
that name, several models that answer together. ``--inputs``, ``--columns`` and ``--ways`` name what is tried;
``--limit`` (seconds) stops the training of every run at the same time. Photos are fed at 128 px, frozen ones too, so
that the comparison is of training alone. Differences to frozen are paired over test rows, by seed and then averaged.

``--kept FILE`` writes a line a run as it ends, answers of test rows included, and does not run what stands there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import arguments, line, metric, quiet
from plait.data.table import Table, read_table
from plait.metrics import bootstrap_interval

POSTS = ("posts-sentiment/posts.csv", "sentiment", ["text", "image"])
HOUSES = ("houses/houses.csv", "price", ["bathroom", "bedroom", "kitchen", "frontal", "numbers"])
INPUTS: dict[str, tuple[tuple[str, str, list[str]], list[str]]] = {
    "text": (POSTS, ["text"]),
    "image": (POSTS, ["image"]),
    "text+image": (POSTS, ["text", "image"]),
    "numbers+frontal": (HOUSES, ["frontal", "numbers"]),
}
METRICS = {"sentiment": ("accuracy", "f1_macro", "log_loss"), "price": ("r2", "mae")}
LOSSES: dict[str, dict[str, Callable[[Any, Any], Any]]] = {  # by row
    "sentiment": {"accuracy": lambda truth, shares: shares.argmax(1) == truth,
                  "log_loss": lambda truth, shares: -np.log(shares[np.arange(len(truth)), truth].clip(1e-12))},
    "price": {"mae": lambda truth, answers: np.abs(truth - answers)},
}  # fmt: skip
SETS = ["encoders.image_size=128", "train.baselines=false", "judge.missing_rows=0", "train.threads=1"]


def main() -> None:
    """Run, print a row a run, and the differences to frozen."""
    given = arguments(
        __doc__ or "", data=".", seeds=2,
        options={"--inputs": "text+image:text,text+image:image,numbers+frontal:frontal",
                 "--ways": "frozen;frozen, best;last_n;lora;full", "--limit": "", "--set": "", "--kept": ""},
    )  # fmt: skip
    kept = Path(given.kept) if given.kept else None
    known = [json.loads(one) for one in kept.read_text().splitlines()] if kept and kept.exists() else []
    runs = []
    for seed in range(given.seeds):
        for asked in given.inputs.split(","):
            inputs, _, columns = asked.partition(":")
            for way in given.ways.split(";"):
                learns = (columns or inputs) if not way.startswith("frozen") else ""
                run = {"inputs": inputs, "learns": learns, "how": way, "seed": seed}
                done = next((one for one in known if run.items() <= one.items()), None)
                if done is None:
                    done = run | _run(given, inputs, learns.split("+") if learns else [], way, seed)
                    known.append(done)
                    if kept:
                        with kept.open("a") as file:
                            file.write(json.dumps(done) + "\n")
                if done not in runs:
                    runs.append(done)
                    _tell(done)
    _tell_differences(runs)


def _run(given: Any, inputs: str, columns: list[str], way: str, seed: int) -> dict[str, Any]:
    """The numbers of one run: validation rows at the kept epoch, test rows, time."""
    (path, target, ignorable), used = INPUTS[inputs]
    own = [f"encoders.tuning_of.{column}={way}" for column in columns]
    own += [f"train.{one}" for one in given.set.split(",") if one]
    rows = read_table(given.data / path)
    started = time.process_time()
    model = plait.fit(
        rows, target, split="split", seed=seed, progress=quiet, set=[*SETS, *own],
        ignore=[column for column in ignorable if column not in used and column in rows.column_names],
        categorical=["zipcode"] if target == "price" else [],
        time_limit=given.limit or None, preset="best" if way.endswith("best") else "single",
    )  # fmt: skip
    taken = time.process_time() - started
    report, names = model.report, METRICS[target]
    best = report["history"][report["best_epoch"] - 1]
    return {
        "validation": {name: best.get(f"val_{name}") for name in names},
        "test": {name: metric(report, name) for name in names}, "epoch": report["best_epoch"],
        "epochs": len(report["history"]), "seconds": report["facts"]["training_seconds"], "processor": taken,
        "rows": _by_row(model, rows, target),
    }  # fmt: skip


def _by_row(model: Any, rows: Table, target: str) -> dict[str, list[float]]:
    """What each test row adds to a metric."""
    test = rows.take(np.flatnonzero(np.array(rows.column("split")) == "test"))
    told = model.predict(test, allow_outside=True)
    if target == "price":
        truth = np.array([float(v) for v in test.column(target)])
        answers = np.array(told["prediction"].to_pylist(), dtype=float)
    else:
        classes = [n.removeprefix("probability_") for n in told.column_names if n.startswith("probability_")]
        truth = np.array([classes.index(v) for v in test.column(target)])
        answers = np.stack([np.array(told[f"probability_{c}"].to_pylist(), dtype=float) for c in classes], 1)
    return {name: fn(truth, answers).astype(float).tolist() for name, fn in LOSSES[target].items()}


def _tell(run: dict[str, Any]) -> None:
    def numbers(found: dict[str, Any]) -> str:
        return ", ".join(f"{k} {v:.3f}" if v is not None else f"{k} -" for k, v in found.items())

    line([
        run["inputs"], run["learns"] or "nothing", run["how"], str(run["seed"]), numbers(run["validation"]),
        numbers(run["test"]), f"{run['epoch']} of {run['epochs']}", f"{run['processor']:.0f}",
    ])  # fmt: skip


def _tell_differences(runs: list[dict[str, Any]]) -> None:
    """Each way less frozen on the same inputs and test rows, mean over seeds that both have."""
    for inputs, learns, how in dict.fromkeys((r["inputs"], r["learns"], r["how"]) for r in runs):
        frozen = {r["seed"]: r for r in runs if r["inputs"] == inputs and r["how"] == "frozen"}
        ours = [
            r for r in runs if (r["inputs"], r["learns"], r["how"]) == (inputs, learns, how) and r["seed"] in frozen
        ]
        if how == "frozen" or not ours:
            continue
        for name in ours[0]["rows"]:
            gaps = np.mean([np.subtract(r["rows"][name], frozen[r["seed"]]["rows"][name]) for r in ours], axis=0)
            low, high = bootstrap_interval(gaps, len(gaps), resamples=2000)
            line(
                [
                    inputs,
                    learns or "nothing",
                    how,
                    f"{len(ours)} seeds",
                    name,
                    f"{gaps.mean():+.4g} [{low:+.4g}, {high:+.4g}]",
                ]
            )


if __name__ == "__main__":
    main()
