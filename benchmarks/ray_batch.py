"""Workers of Ray beside local ones: the same files? what does Ray cost? what do kills lose?

The rows and the small model of ``batch.py``. In turns, in one run: ``plait predict ROWS -o out/ --workers 2`` and the
same with ``--ray local``. Seconds of the whole command, and of what lies between its first part and its last, which is
the work without the starts. Then a run under Ray of whose two workers one gets SIGKILL in the middle, and one that is
killed itself (SIGKILL) and typed again, with Ray and without. All folders are compared file by file.

Run: python benchmarks/ray_batch.py [--rows 40000] [--turns 2]      (about 5 minutes on two idle cores; extra ray)
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from batch import hashes, write_rows

PART = 2_000


def workers_of(pid: int) -> list[int]:
    """The processes below one that answer parts for Ray."""
    parents, named = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if "PartAnswerer" in (place / "cmdline").read_text():
                named.append(int(place.name))
        except (OSError, ValueError):
            continue

    def is_below(one: int) -> bool:
        while one in parents and one != pid:
            one = parents[one]
        return one == pid

    return [one for one in named if is_below(one)]


def run(command: list[object], out: Path, at: Callable[[int, int], bool] | None = None) -> tuple[float, float, int]:
    """Run a command; its seconds, those between its first new part and its last, and its exit code.

    Args:
        command: Arguments of Python.
        out: The folder of parts.
        at: Called with the process and the number of parts until it says that it has done what it wanted.
    """
    there = {path.name for path in out.glob("part-*")}
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL)
    while child.poll() is None:
        if at is not None and at(child.pid, len(list(out.glob("part-*")))):
            at = None
        time.sleep(0.01)
    seconds = time.monotonic() - started
    stamps = [path.stat().st_mtime for path in out.glob("part-*") if path.name not in there]
    return seconds, max(stamps, default=0) - min(stamps, default=0), child.returncode


def rows_of(folder: Path) -> list[int]:
    """The row numbers of all parts, in order."""
    parts = json.loads((folder / "manifest.json").read_text())["parts"]
    return [row for part in parts for row in pq.read_table(folder / part["name"], columns=["row"])["row"].to_pylist()]


def main() -> None:
    """Make, train, predict in turns, kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--turns", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        folder, model = Path(place), Path(place) / "model"
        for name, count in (("train", 2_000), ("rows", given.rows)):
            write_rows(folder / f"{name}.parquet", count)
        subprocess.run(
            [sys.executable, "-m", "plait", "fit", folder / "train.parquet", "--target", "label", "--text", "text",
             "--epochs", "2", "--set", "encoders.text=scratch:text", "--quiet", "-o", model], check=True,
        )  # fmt: skip
        predict = ["-m", "plait", "predict", model, folder / "rows.parquet", "--quiet", "--part-rows", PART, "-o"]
        ways = {"`--workers 2`": ["--workers", 2], "`--workers 2 --ray local`": ["--workers", 2, "--ray", "local"]}
        whole: dict[str, list[float]] = {way: [] for way in ways}
        between: dict[str, list[float]] = {way: [] for way in ways}
        outs = []
        for turn in range(given.turns):
            for number, (way, options) in enumerate(ways.items()):
                outs.append(folder / f"out-{turn}-{number}")
                seconds, work, code = run([*predict, f"{outs[-1]}/", *options], outs[-1])
                if code:
                    sys.exit(f"ended with {code}: {way}")
                whole[way].append(seconds)
                between[way].append(work)
        print(f"{given.rows:,} rows, parts of {PART:,}, {given.turns} turns, load {os.getloadavg()[0]:.0f}\n")
        print("| what | s in all, median | s from the first part to the last, median |\n|---|---|---|")
        for way in ways:
            print(f"| {way} | {statistics.median(whole[way]):.1f} | {statistics.median(between[way]):.2f} |")
        local, ray = ways
        for what, found in (("in all", whole), ("from the first part to the last", between)):
            ratios = [b / a for a, b in zip(found[local], found[ray], strict=True)]
            print(f"\nRay over local workers, {what}: {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip

        def kill_worker(pid: int, parts: int) -> bool:
            workers = workers_of(pid) if parts >= 4 else []
            if len(workers) < 2:
                return False
            os.kill(workers[0], signal.SIGKILL)
            print(f"\none of two workers of Ray got SIGKILL after {parts} parts", flush=True)
            return True

        def kill_run(pid: int, parts: int) -> bool:
            if parts < 4:
                return False
            os.kill(pid, signal.SIGKILL)
            return True

        outs.append(folder / "worker-killed")
        code = run([*predict, f"{outs[-1]}/", *ways[ray]], outs[-1], kill_worker)[2]
        print(f"the run ended with {code}; rows 0 to {given.rows - 1:,} each once, in order: "
              f"{rows_of(outs[-1]) == list(range(given.rows))}")  # fmt: skip
        for after, options in (("with Ray", ways[ray]), ("without Ray", [])):
            outs.append(folder / f"run-killed-{len(outs)}")
            run([*predict, f"{outs[-1]}/", *ways[ray]], outs[-1], kill_run)
            stamps = {path: path.stat().st_mtime_ns for path in outs[-1].glob("part-*")}
            listed = len((outs[-1] / "journal.jsonl").read_text().splitlines())
            code = run([*predict, f"{outs[-1]}/", *options], outs[-1])[2]
            kept = sum(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
            made = len(list(outs[-1].glob("part-*"))) - kept
            print(f"the run got SIGKILL after {listed} parts; typed again, {after}: ended with {code}, "
                  f"{kept} parts kept, {made} made")  # fmt: skip
        first = hashes(outs[0])
        others = [out.name for out in outs if hashes(out) != first]
        print(f"the same bytes in all {len(outs)} folders of {len(first)} files: {not others} {others or ''}")


if __name__ == "__main__":
    main()
