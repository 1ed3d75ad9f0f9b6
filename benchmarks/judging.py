"""What judging costs beside training: co-attention on picture tokens and a question, and with four texts more.

Rows of easy-VQA (fetched when it is not here), its pictures and questions encoded by frozen weights of this machine; in
the second table each row also shows four other questions, so that 2**6 patterns are too many to ask for each. The same
model judges the same test rows three ways in turns, in one process and one thread: one pass of the model for each thing
asked, as before budgets (``a pass each``); rows encoded once and what two patterns leave alike answered once, with
``judge.share=null`` (``reused``); and the same within the budget of ``--share`` (``budget``). Printed are seconds,
medians of ``--repeats`` with their range, their ratio, and what the report says was cut.

Run: python benchmarks/judging.py [--rows 2000] [--test 1500] [--epochs 3] [--repeats 3] [--share 0.5]     (minutes)
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from measure import quiet, table

HINTS = 4


def rows_of(source: Path, given: argparse.Namespace) -> list[dict[str, str]]:
    """The first training and test rows, pictures with their whole paths, each with four questions of other rows."""
    with source.open(encoding="utf-8", newline="") as file:
        every = list(csv.DictReader(file))
    kept = [r for r in every if r["split"] == "train"][: given.rows] + [r for r in every if r["split"] == "test"][
        : given.test
    ]
    draw = np.random.default_rng(0)
    for row in kept:
        row["image"] = str(source.parent / row["image"])
        for hint in range(HINTS):
            row[f"hint{hint}"] = kept[int(draw.integers(len(kept)))]["question"]
    return kept


@contextmanager
def a_pass_each() -> Iterator[None]:
    """Within, nothing that one pass answered serves another."""
    from plait.evaluation import labels
    from plait.inference import forward

    shared, alike = labels._leaving_one_out, forward._first_alike

    def never_alike(seen_PBM: np.ndarray) -> np.ndarray:
        return np.repeat(np.arange(len(seen_PBM))[:, None], seen_PBM.shape[1], axis=1)

    labels._leaving_one_out, forward._first_alike = (lambda *_: {}), never_alike  # type: ignore[assignment]
    try:
        yield
    finally:
        labels._leaving_one_out, forward._first_alike = shared, alike


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it gave."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def measure(
    name: str, rows: list[dict[str, str]], columns: list[str], given: argparse.Namespace, place: Path
) -> list[str]:
    """A row of the table."""
    import plait
    from plait.api.evaluation import open_evaluation
    from plait.evaluation import EVALUATORS

    path = place / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "answer", "image_id", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    fitted = plait.fit(
        str(path), "answer", split="split", group="image_id", preset="single", fusion="co_attention",
        epochs=given.epochs, allow_outside=True, progress=quiet, set=["train.threads=1", "judge.missing_rows=0"],
    )  # fmt: skip
    trained = fitted.report["facts"]["training_seconds"]
    opened = open_evaluation(fitted, str(path), rows="test", allow_outside=True)
    judge = EVALUATORS.get(fitted.task.output_kind)
    free = replace(opened.judge, missing_rows=None, share=None)
    took: dict[str, list[float]] = {"a pass each": [], "reused": [], "budget": []}
    notes: list[str] = []
    for _ in range(given.repeats):
        asked = replace(opened, judge=free, training_seconds=trained, notes=[])
        with a_pass_each():
            took["a pass each"].append(seconds(lambda asked=asked: judge(asked))[0])
        took["reused"].append(seconds(lambda asked=asked: judge(replace(asked, notes=[])))[0])
        within = replace(asked, judge=replace(free, share=given.share), notes=[])
        spent, found = seconds(lambda within=within: judge(within))
        took["budget"].append(spent)
        notes = [n for n in found.evaluation["notes"] if "hidden" in n]
    print(f"\n{name}: {notes[0] if notes else 'nothing was cut'}")
    cells = [f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in took.values()]
    ratios = [b / a for a, b in zip(took["a pass each"], took["budget"], strict=True)]
    middle = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return [name, f"{trained:.1f}", *cells, middle, f"{statistics.median(took['budget']) / trained:.2f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("--rows", 2000), ("--test", 1500), ("--epochs", 3), ("--repeats", 3)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--share", type=float, default=0.5)
    given = parser.parse_args()
    from plait.data.catalog.datasets import fetch_dataset

    source = fetch_dataset("easy-vqa", Path(tempfile.gettempdir()) / "plait-easy-vqa")
    rows, two = rows_of(source, given), ["image", "question"]
    with tempfile.TemporaryDirectory() as place:
        body = [
            measure(name, rows, columns, given, Path(place))
            for name, columns in (
                ("picture and question", two),
                ("and four texts", [*two, *(f"hint{i}" for i in range(HINTS))]),
            )
        ]
    print()
    table(
        ["modalities", "training, s", "judging, a pass each, s", "reused, s", "reused within the budget, s",
         "ratio of the last to the first", "share of training"],
        body,
    )  # fmt: skip


if __name__ == "__main__":
    main()
