"""Plait beside a peer or a naive loop, part by part, in the same run: ``make bench``, minutes.

``encode`` (texts beside sentence-transformers, pictures beside a timm loop, both beside the raw forward), ``fit`` and
its report on a warm store (scikit-learn), ``compare`` (a loop of fits), ``search`` (NumPy), ``generate`` (transformers)
and ``serve`` (a loop of predict). The sides take turns; told are the median and the range of the ratios of the rounds,
the peer's seconds over Plait's, and how equal the outputs are. Data are drawn, or posts where $PLAIT_TEST_DATA is set.

A run goes to benchmarks/results as JSON (``history.py`` says what is in it); ``--table`` holds the last one against
those before it, ``--check`` ends with 1 where something got slower. The scripts beside this one take hours.

Run: python benchmarks/bench.py [--only encode,search] [--repeats 5] [--quick] [--no-save] | --table [--check]
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import history
from measure import table
from parts import PARTS, measured


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="parts, between commas: encode, fit, compare, search, ...")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; half of them of fit and compare, 2 at least")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two rounds: does it run?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--results", type=Path, default=history.RESULTS, help="folder of the history")
    parser.add_argument("--no-save", action="store_true", help="add nothing to the history")
    parser.add_argument("--table", action="store_true", help="measure nothing; the last run beside those before")
    parser.add_argument("--check", action="store_true", help="with --table: exit code 1 where there is a regression")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error(f"--repeats is {given.repeats}; expected at least 1")
    return given


def show(runs: list[dict[str, Any]]) -> list[history.Line]:
    """Print the table of a history."""
    lines = history.compared(runs)
    if not lines:
        print("no run yet; type: python benchmarks/bench.py")
        return lines
    last = runs[-1]
    place = last["machine"]
    print(
        f"{last['made']}, commit {last['commit']}{' and changes' if last.get('changed') else ''}: {place['cpu']}, "
        f"{place['cores']} cores, {last['threads']} threads, load {last['load']:.1f}; {len(runs) - 1} runs before\n"
    )
    table(history.HEAD, [line.cells for line in lines])
    for name, reason in last.get("failed", {}).items():
        print(f"- {name} failed: {reason}")
    slower = [line.name for line in lines if line.verdict == history.REGRESSION]
    print(f"\n{len(slower)} regressions{': ' if slower else ''}{', '.join(slower)}")
    return lines


def measure(given: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """Run parts; one that fails is named and the others go on."""
    load = os.getloadavg()[0]  # before anything of ours runs
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(given.threads)  # before any of them is imported
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import numpy as np
    import torch

    import plait
    from parts.part import Asked

    torch.set_num_threads(given.threads)
    data = os.environ.get("PLAIT_TEST_DATA")
    parts: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as room:
            repeats = min(given.repeats, 2) if given.quick else given.repeats
            asked = Asked(repeats, given.quick, given.seed, given.threads, Path(room), Path(data) if data else None)
            try:
                torch.manual_seed(given.seed)
                for one in measured(name, asked):
                    parts[one.name] = one.to_json()
                    same = ", ".join(f"{key} {value:.6g}" for key, value in one.same.items())
                    print(f"{one.name}: {one.data}; {one.setting}; {same}; {'; '.join(one.notes)}", flush=True)
            except KeyboardInterrupt:
                failed[name] = "interrupted"
                break
            except Exception as error:
                traceback.print_exc()
                failed[name] = f"{type(error).__name__}: {error}"
        print(f"  {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    short, changed = history.commit()
    return {
        "schema": history.SCHEMA, "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": short, "changed": changed,
        "versions": {
            "plait": plait.__version__, "torch": torch.__version__, "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": history.machine(), "threads": given.threads, "load": round(load, 2), "seed": given.seed,
        "repeats": given.repeats, "quick": given.quick, "parts": parts, "failed": failed,
    }  # fmt: skip


def main() -> int:
    """Measure and add to the history, or show it."""
    given = arguments()
    try:
        runs = history.read_runs(given.results)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if given.table:
        lines = show(runs)
        return int(given.check and any(line.verdict == history.REGRESSION for line in lines))
    asked = [name for name in given.only.split(",") if name] or list(PARTS)
    names = [name for name in PARTS if any(name == one or name.startswith(f"{one}-") for one in asked)]
    unknown = sorted(one for one in asked if not any(n == one or n.startswith(f"{one}-") for n in PARTS))
    if unknown:
        print(f"there is no part {', '.join(unknown)}; parts are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    run = measure(given, names)
    if not given.no_save and run["parts"]:
        print(f"kept in {history.write_run(run, given.results)}\n", file=sys.stderr)
    show([*runs, run])
    return int(bool(run["failed"]))


if __name__ == "__main__":
    sys.exit(main())
