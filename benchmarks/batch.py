"""A million rows predicted into a folder of parts: memory as rows go by, rows a second, and what a kill costs.

Makes a Parquet file (no data needed: three numbers, a category, a text of 8 words), trains a small model on 2,000 such
rows, and predicts the file with ``plait predict MODEL rows.parquet -o out/``, looking at the resident memory of the
process (``VmRSS``) every half second. Beside it ``model.predict(TABLE)`` of fewer rows, which keeps all answers; the
same rows by two workers, compared byte for byte; and a run that gets SIGKILL after its second part and goes on.

Run: python benchmarks/batch.py [--rows 1000000] [--naive 100000]      (about 10 minutes on one core)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = "red green blue sky road house river stone light cloud bird tree old new warm cold".split()
GROUP = 100_000
NAIVE = """
import sys, plait, pyarrow.parquet as pq
model = plait.load(sys.argv[1])
answers = model.predict(pq.read_table(sys.argv[2])) if sys.argv[3] != "0" else None
"""


def some_rows(draw: random.Random, first: int, count: int) -> pa.Table:
    """Rows whose label depends on a number and on a word."""
    texts = [" ".join(draw.choices(WORDS, k=8)) for _ in range(count)]
    a, b, c = ([round(draw.gauss(0, 1), 4) for _ in range(count)] for _ in range(3))
    labels = ["yes" if x + ("red" in text) > 0.5 else "no" for x, text in zip(a, texts, strict=True)]
    kinds = draw.choices("wxyz", k=count)
    ids = [f"r{number}" for number in range(first, first + count)]
    return pa.table({"id": ids, "a": a, "b": b, "c": c, "kind": kinds, "text": texts, "label": labels})


def write_rows(path: Path, count: int) -> None:
    """The rows of a file, a row group at a time."""
    draw = random.Random(0)
    with pq.ParquetWriter(path, some_rows(random.Random(1), 0, 1).schema) as file:
        for first in range(0, count, GROUP):
            file.write_table(some_rows(draw, first, min(GROUP, count - first)))


def memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process now, and its peak, in MB; zeros when it is gone."""
    found = {"VmRSS": 0.0, "VmHWM": 0.0}
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024 / 1e6
    except OSError:
        pass
    return found["VmRSS"], found["VmHWM"]


def watched(command: list[object], out: Path | None = None, kill_after: int | None = None) -> tuple[list, float, float]:
    """Run a process; (parts there, seconds, MB) twice a second, its seconds, and its peak in MB."""
    started, curve, peak = time.monotonic(), [], 0.0
    child = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL)
    while child.poll() is None:
        parts = len(list(out.glob("part-*"))) if out is not None else 0
        now, most = memory(child.pid)
        peak = max(peak, most)
        curve.append((parts, time.monotonic() - started, now))
        if kill_after is not None and parts >= kill_after:
            child.send_signal(signal.SIGKILL)
        time.sleep(0.5)
    if child.returncode and kill_after is None:
        sys.exit(f"ended with {child.returncode}: {command}")
    return curve, time.monotonic() - started, peak


def hashes(folder: Path) -> dict[str, str]:
    """Of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main() -> None:
    """Make, train, predict, measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--naive", type=int, default=100_000, help="rows of model.predict(TABLE)")
    parser.add_argument("--few", type=int, default=100_000, help="rows of the runs with workers and a kill")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        folder, model = Path(place), Path(place) / "model"
        for name, count in (("train", 2000), ("naive", given.naive), ("few", given.few), ("many", given.rows)):
            write_rows(folder / f"{name}.parquet", count)
        print(f"{given.rows:,} rows, {(folder / 'many.parquet').stat().st_size / 1e6:.0f} MB of Parquet", flush=True)
        fit = ["-m", "plait", "fit", folder / "train.parquet", "--target", "label", "--text", "text", "--epochs", "2",
               "--set", "encoders.text=scratch:text", "--quiet", "-o", model]  # fmt: skip
        watched(fit)
        predict = ["-m", "plait", "predict", model, folder / "many.parquet", "--quiet", "-o"]
        curve, seconds, peak = watched([*predict, f"{folder}/out/"], folder / "out")
        manifest = json.loads((folder / "out" / "manifest.json").read_text())
        print("\n| parts there | rows there | s | MB now |\n|---|---|---|---|")
        shown = {}
        for parts, at, now in curve:
            if now and parts not in shown:
                shown[parts] = f"| {parts} | {min(parts * 65_536, given.rows):,} | {at:.0f} | {now:,.0f} |"
        print("\n".join(shown.values()))
        per_second = given.rows / seconds
        print(f"\nin all {seconds:.0f} s with its start, {per_second:,.0f} rows/s, peak {peak:,.0f} MB", flush=True)
        taken = [row for part in manifest["parts"] for row in
                 pq.read_table(folder / "out" / part["name"], columns=["row"]).column("row").to_pylist()]  # fmt: skip
        print(f"rows in the parts are 0 to {given.rows - 1:,}, each once: {taken == list(range(given.rows))}")

        print("\n| what | rows | s | peak MB |\n|---|---|---|---|")
        for rows in (0, given.naive):
            _, seconds, peak = watched(["-c", NAIVE, model, folder / "naive.parquet", rows])
            what = "`model.predict(TABLE)`" if rows else "loading the model alone"
            print(f"| {what} | {rows:,} | {seconds:.0f} | {peak:,.0f} |", flush=True)
        few = ["-m", "plait", "predict", model, folder / "few.parquet", "--quiet", "--part-rows", "8192", "-o"]
        for workers in (1, 2):
            out = f"{folder}/workers-{workers}/"
            _, seconds, peak = watched([*few, out, "--workers", workers])
            what = f"`-o out/ --part-rows 8192 --workers {workers}`"
            print(f"| {what} | {given.few:,} | {seconds:.0f} | {peak:,.0f} (the first process) |", flush=True)
        out = folder / "killed"
        watched([*few, f"{out}/"], out, kill_after=2)
        before = len(list(out.glob("part-*")))
        _, seconds, _ = watched([*few, f"{out}/"], out)
        print(f"| killed after {before} parts, then typed again | {given.few:,} | {seconds:.0f} | |")
        one, two, again = (hashes(folder / name) for name in ("workers-1", "workers-2", "killed"))
        print(f"\nthe same bytes by one worker, by two, and after a kill: {one == two == again} ({len(one)} files)")


if __name__ == "__main__":
    main()
