"""What every benchmark script shares: where the data lie, several seeds, mean and spread, a Markdown table."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def arguments(
    description: str, *, data: str | None, seeds: int = 3, options: dict[str, str] | None = None
) -> argparse.Namespace:
    """Command line of a benchmark: ``--data`` (a folder), ``--seeds`` (how many, from 0) and own options."""
    parser = argparse.ArgumentParser(description=description)
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    if data is not None:
        parser.add_argument("--data", type=Path, default=base / data)
    parser.add_argument("--seeds", type=int, default=seeds)
    for name, default in (options or {}).items():
        parser.add_argument(name, default=default, help=f"default: {default}")
    parsed = parser.parse_args()
    if data is not None and not parsed.data.exists():
        sys.exit(f"no data at {parsed.data}; name its folder with --data")
    return parsed


def spread(values: list[float], digits: int = 3) -> str:
    """Mean, and lowest to highest."""
    mean = statistics.fmean(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def metric(report: dict, name: str) -> float:
    """A metric of the fused model."""
    return report["evaluation"]["metrics"][name]["value"]


def interval(report: dict, name: str, digits: int = 3, alone: str | None = None) -> str:
    """A metric with its 95% bootstrap interval, of the fused model or of one modality alone."""
    evaluation = report["evaluation"]
    entry = (evaluation["alone"][alone] if alone else evaluation["metrics"])[name]
    return f"{entry['value']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"


def table(head: list[str], body: list[list[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in body:
        line(row)


def line(row: list[str]) -> None:
    """Print one row of a Markdown table."""
    print("| " + " | ".join(row) + " |", flush=True)


def quiet(done: int, total: int, what: str) -> None:
    """Progress that only says when something ends."""
    if done == total:
        print(f"  {what}: {total:,}", file=sys.stderr, flush=True)


def kept_or_made(kept: str, run: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A run that a file of JSON lines has already, else made now and written there.

    Args:
        kept: The file; empty: nothing is kept.
        run: What tells a run from the others, such as its table, preset and seed.
        make: Returns what to keep beside that.
    """
    path = Path(kept)
    if kept and path.exists():
        for text in path.read_text().splitlines():
            known: dict[str, Any] = json.loads(text)
            if run.items() <= known.items():
                return known
    made = run | make()
    print(json.dumps(made), file=sys.stderr, flush=True)
    if kept:
        with path.open("a") as lines:
            lines.write(json.dumps(made) + "\n")
    return made
