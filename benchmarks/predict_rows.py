"""Peak memory and time of ``plait predict`` on many rows of numbers and text.

Makes a table (no data needed), trains a small model on 2,000 such rows, and predicts all rows from CSV and from
Parquet, each in a process of its own whose peak memory and processor time the system tells (``wait4``). A process that
predicts one row says what Python, the libraries and the model take alone. Beside it, what reading the same file takes:
pandas' ``read_csv`` and ``read_parquet``, and Plait's reader of tables. To compare with another checkout, put its
``src`` on PYTHONPATH.

Run: python benchmarks/predict_rows.py [--rows 200000] [--inputs csv,parquet] [--output csv]     (minutes)
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = "red green blue sky road house river stone light cloud bird tree old new warm cold".split()


def write_rows(path: Path, count: int) -> None:
    """Rows of an id, three numbers, a text of 12 words and a label that depends on both."""
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "a", "b", "c", "text", "label"])
        for number in range(count):
            text = " ".join(draw.choices(WORDS, k=12))
            a, b, c = (round(draw.gauss(0, 1), 4) for _ in range(3))
            writer.writerow([f"r{number}", a, b, c, text, "yes" if a + ("red" in text) > 0.5 else "no"])


def measured(*command: object) -> str:
    """Peak memory and processor time of one process, as two cells of the table."""
    child = subprocess.Popen([sys.executable, *map(str, command)], stdout=sys.stderr)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"ended with {child.returncode}: {command}")
    return f"{usage.ru_maxrss * 1024 / 1e6:,.0f} | {usage.ru_utime + usage.ru_stime:.1f}"


def to_parquet(table: Path, path: Path) -> None:
    """The same rows as Parquet, written in a process of its own: a child's peak begins with its parent's."""
    code = "import pyarrow.csv as c, pyarrow.parquet as p, sys; p.write_table(c.read_csv(sys.argv[1]), sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(table), str(path)], check=True)


PANDAS = "import pandas, sys; pandas.read_{}(sys.argv[1])"
PLAIT = "import pathlib, sys; from plait.data.readers.formats import read_path; read_path(pathlib.Path(sys.argv[1]))"


def main() -> None:
    """Make, train, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--inputs", default="csv,parquet")
    parser.add_argument("--output", default="csv", help="csv, parquet or jsonl")
    parser.add_argument("--only-reading", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, model = Path(place), Path(place) / "model"
        for name, count in (("train", 2000), ("one", 1), ("many", given.rows)):
            write_rows(folder / f"{name}.csv", count)
        predict = ["-m", "plait", "predict", model, "--quiet", "-o"]
        print("| what | rows | input | peak MB | s of CPU |\n|---|---|---|---|---|")
        if not given.only_reading:
            fit = ["-m", "plait", "fit", folder / "train.csv", "--target", "label", "--text", "text", "--epochs", "1",
                   "--set", "encoders.text=scratch:text", "--quiet", "-o", model]  # fmt: skip
            measured(*fit)
            told = measured(*predict, folder / f"one-out.{given.output}", folder / "one.csv")
            print(f"| `plait predict` | 1 | csv | {told} |", flush=True)
        for suffix in given.inputs.split(","):
            many = folder / f"many.{suffix}"
            if suffix == "parquet":
                to_parquet(folder / "many.csv", many)
            kind = f"{suffix}, {many.stat().st_size / 1e6:.0f} MB"
            rows = f"{given.rows:,} | {kind}"
            print(f"| importing pandas | 0 | | {measured('-c', 'import pandas')} |", flush=True)
            print(f"| `pandas.read_{suffix}` | {rows} | {measured('-c', PANDAS.format(suffix), many)} |", flush=True)
            print(f"| Plait's reader alone | {rows} | {measured('-c', PLAIT, many)} |", flush=True)
            if not given.only_reading:
                told = measured(*predict, folder / f"out-{suffix}.{given.output}", many)
                print(f"| `plait predict` | {rows} | {told} |", flush=True)


if __name__ == "__main__":
    main()
