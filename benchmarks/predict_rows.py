"""Peak memory and time of ``plait predict`` on many rows of numbers and text.

Makes a table (no data needed), trains a small model on its first 2,000 rows, and predicts all rows in a process of its
own, whose peak memory the system tells (``getrusage``). A second process that predicts one row says what Python, the
libraries and the model take alone.

    python benchmarks/predict_rows.py [ROWS] [SUFFIX]
"""

from __future__ import annotations

import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
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


def plait(*arguments: object) -> None:
    """Run the command line, quietly."""
    subprocess.run([sys.executable, "-m", "plait", *map(str, arguments), "--quiet"], check=True, stdout=sys.stderr)


def measured(*arguments: object) -> tuple[float, float]:
    """Seconds and peak memory in MB of one command: the largest of all children so far, so the largest comes last."""
    started = time.monotonic()
    plait(*arguments)
    return time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def train(folder: Path, model: Path) -> None:
    """Train in a process whose memory does not count here."""
    write_rows(folder / "train.csv", 2000)
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'plait', 'fit', sys.argv[1], '--target', "
        "'label', '--text', 'text', '--epochs', '1', '--set', 'encoders.text=scratch:text', '-o', sys.argv[2], "
        "'--quiet'], check=True, stdout=sys.stderr)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "train.csv"), str(model)], check=True)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    suffix = sys.argv[2] if len(sys.argv) > 2 else "csv"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if sys.argv[3:]:
            model = Path(sys.argv[3])
        else:
            model = folder / "model"
            train(folder, model)
        write_rows(folder / "one.csv", 1)
        write_rows(folder / "many.csv", rows)
        seconds, alone = measured("predict", model, folder / "one.csv", "-o", folder / f"one-out.{suffix}")
        print(f"1 row: {seconds:.1f} s, {alone:.0f} MB")
        seconds, peak = measured("predict", model, folder / "many.csv", "-o", folder / f"out.{suffix}")
        print(f"{rows:,} rows: {seconds:.1f} s, {peak:.0f} MB, {peak - alone:.0f} MB above one row")


if __name__ == "__main__":
    main()
