"""Where the time goes: ``plait profile`` of a fit with an empty and a warm feature store, and of ten answers.

Each verb runs in a process of its own with one thread, on the posts of ``--data`` (or a table of texts and photos with
columns ``text``, ``image``, ``sentiment`` and ``split``). Printed are, of the one of ``--repeats`` runs with the least
processor time: one table of the shares of all three, phases below ``LEAST`` joined but for those on the way from file
to batch; and of each verb its phases with their seconds, those in threads, what was done in a second, and beside it
what this machine can do at best.

Run: python benchmarks/where_time_goes.py [--repeats 2] [--rows 300]     (minutes)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import arguments, table
from ten_posts import lay_out

LEAST = 0.02  # share of the whole below which a phase is joined with others
REST = "everything else"
STEPS = "train: forward and backward, optimizer, around the steps"
JOINED = dict.fromkeys(("train: forward and backward", "train: optimizer", "train: around the steps"), STEPS)
WAY = (  # from file to feature to batch: shown however short
    "encode: decode pictures", "encode: resize and normalise", "encode: tokenise", "encode: forward pass",
    "feature store: write", "feature store: read", "train: collate",
)  # fmt: skip


def profiled(words: list[str], place: Path, store: Path) -> dict[str, Any]:
    """The profile of a verb, as its JSON file says it."""
    numbers = place / "profile.json"
    command = [sys.executable, "-m", "plait", "profile", "--overwrite", "-o", str(numbers), *words]
    environment = {**os.environ, "PLAIT_FEATURES": str(store), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
    return json.loads(numbers.read_text("utf-8"))


def best_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that took least processor time."""
    return min(runs, key=lambda r: r["processor_seconds"])


def shares(found: dict[str, list[dict[str, Any]]]) -> None:
    """One table: what part of each verb each phase takes."""
    columns: dict[str, dict[str, float]] = {}
    for name, runs in found.items():
        best = best_of(runs)
        column = columns.setdefault(name, {})
        for phase in best["phases"]:
            joined = JOINED.get(phase["phase"], phase["phase"])
            column[joined] = column.get(joined, 0.0) + phase["seconds"] / best["seconds"]
    seen = dict.fromkeys(phase for column in columns.values() for phase in column)
    kept = [p for p in seen if p != REST and (p in WAY or any(c.get(p, 0.0) >= LEAST for c in columns.values()))]
    kept.sort(key=lambda p: -max(column.get(p, 0.0) for column in columns.values()))
    body = [[phase, *(_share(column.get(phase)) for column in columns.values())] for phase in kept]
    body.append([REST, *(f"{1 - sum(column.get(p, 0.0) for p in kept):.0%}" for column in columns.values())])
    body.append(["**seconds**", *(f"{best_of(runs)['seconds']:.1f}" for runs in found.values())])
    took = (", ".join(f"{r['processor_seconds']:.1f}" for r in runs) for runs in found.values())
    body.append(["**processor seconds**", *took])
    table(["phase", *found], body)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}" if share < 0.01 else f"{share:.0%}"


def shown(name: str, best: dict[str, Any]) -> None:
    """Phases of one run, each beside what bounds it."""
    print(f"\n**{name}**: {best['seconds']:.1f} s, {best['processor_seconds']:.1f} s of processor time\n")
    body = []
    for phase in best["phases"]:
        seconds, threads = phase["seconds"], phase["in_threads"]
        if phase["phase"] not in WAY and seconds < LEAST * best["seconds"]:
            continue
        done = ""
        if phase["unit"] != "calls" and seconds + threads > 0:
            rate = phase["amount"] / (seconds + threads)
            done = f"{phase['amount']:,.0f} {phase['unit']}, {rate:,.0f} a second"
        beside = f"{threads:.2f}" if threads >= 0.005 else ""
        body.append([phase["phase"], f"{seconds:.2f}", beside, done, _limit(phase["phase"], best)])
    table(["phase", "seconds", "in threads", "done", "limit"], body)


def _limit(phase: str, best: dict[str, Any]) -> str:
    """What the machine does at best, where that bounds the phase."""
    limits = best["limits"]
    if limits is None:
        return ""
    product = f"matrix product {limits['gflops']:.0f} GFLOP/s"
    if phase == "encode: forward pass" and best["encoding_gflops"] is not None:
        return f"{product}, reached {best['encoding_gflops']:.0f} ({best['encoding_share']:.0%})"
    if phase == "train: forward and backward" and best["training_gflops"] is not None:
        return f"{product}, reached {best['training_gflops']:.2g} ({best['training_share']:.0%})"
    if phase == "encode: decode pictures":
        return f"JPEG {limits['jpeg_megapixels']:.0f} megapixels/s"
    if phase == "feature store: write":
        return f"copy {1000 * limits['copy_gb']:,.0f} MB/s"
    return ""


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment/posts.csv", options={"--repeats": "2", "--rows": "300"})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lay_out(given.data, int(given.rows), place)
        found: dict[str, list[dict[str, Any]]] = {}
        outside = ["--allow-outside"]
        fit = ["fit", str(place / "posts.csv"), "--target", "sentiment", "--preset", "fast", *outside, "--quiet"]
        for repeat in range(int(given.repeats)):
            store, model = place / f"features-{repeat}", place / f"model-{repeat}"
            for name in ("fit, nothing stored", "fit, features stored"):
                made = profiled([*fit, "-o", str(model), "--overwrite"], place, store)
                found.setdefault(name, []).append(made)
            answer = ["predict", str(model), str(place / "ten.csv"), *outside, "--quiet", "-o"]
            made = profiled([*answer, str(place / f"answers-{repeat}.csv")], place, store)
            found.setdefault("predict, ten rows that are stored", []).append(made)
        shares(found)
        for name, runs in found.items():
            shown(name, best_of(runs))


if __name__ == "__main__":
    main()
