"""Memory of ``plait predict`` against the number of rows: does it stay flat?

Makes tables of an id, three numbers and a text of 12 words (no data needed), trains a small model on 2,000 such rows
(encoders from scratch), and predicts tables of growing length, each in a process of its own. ``peak`` is the most that
the process held (``wait4``), ``resident`` what it held at the middle and at the end of its work (``VmRSS``, looked at
every second). The ratio is to the first number of rows. To compare with another checkout, put its ``src`` on
PYTHONPATH.

Run: python benchmarks/memory_of_rows.py [--rows 10000,100000,1000000] [--input csv] [--memory 2GB]   (an hour or less)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from predict_rows import to_parquet, write_rows


def resident_mb(pid: int) -> float | None:
    """Megabytes that a process holds now; None where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")), None)


def watched(command: list[str]) -> tuple[float, list[float], float]:
    """Peak megabytes, those seen every second, and seconds of processor time of one process."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen: list[float] = []
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            break
        held = resident_mb(child.pid)
        seen += [held] if held else []
        time.sleep(1)
    if child.returncode:
        sys.exit(f"ended with {child.returncode}: {command}")
    return usage.ru_maxrss * 1024 / 1e6, seen, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Make, train, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--input", default="csv", help="csv or parquet")
    parser.add_argument("--memory", help="a bound, such as 2GB")
    given = parser.parse_args()
    plait = [sys.executable, "-m", "plait"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder / "train.csv", 2000)
        watched([
            *plait, "fit", str(folder / "train.csv"), "--target", "label", "--text", "text", "--epochs", "1",
            "--preset", "single", "--set", "encoders.text=scratch:text", "--quiet", "-o", str(folder / "model"),
        ])  # fmt: skip
        bound = ["--memory", given.memory] if given.memory else []
        print("| rows | table MB | peak MB | ratio | resident at the middle | at the end | s of CPU |", flush=True)
        print("|---|---|---|---|---|---|---|", flush=True)
        first = 0.0
        for rows in map(int, given.rows.split(",")):
            table = folder / "rows.csv"
            write_rows(table, rows)
            if given.input == "parquet":
                to_parquet(table, folder / "rows.parquet")
                table = folder / "rows.parquet"
            out = str(folder / "out.csv")
            peak, seen, seconds = watched(
                [*plait, "predict", str(folder / "model"), str(table), "-o", out, "--overwrite", "--quiet", *bound]
            )
            with open(out, encoding="utf-8") as lines:
                written = sum(1 for _ in lines) - 1
            if written != rows:
                sys.exit(f"{written} answers to {rows} rows")
            first = first or peak
            middle, end = (seen[len(seen) // 2], seen[-1]) if seen else (0.0, 0.0)
            size = table.stat().st_size / 1e6
            held = f"{peak:,.0f} | {peak / first:.2f} | {middle:,.0f} | {end:,.0f}"
            print(f"| {rows:,} | {size:.1f} | {held} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
