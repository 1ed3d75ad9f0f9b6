"""Where the time goes: ``plait profile`` of a fit with an empty and a warm feature store, and of ten answers.

Each verb runs in a process of its own with one thread, on the posts of ``--data`` (or a table of texts and photos with
columns ``text``, ``image``, ``sentiment`` and ``split``). Printed are the phases that take at least a hundredth, of
the one of ``--repeats`` runs with the least processor time, and processor seconds of each.

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

LEAST = 0.01  # share of the whole below which a phase is not printed


def profiled(words: list[str], place: Path, store: Path) -> dict[str, Any]:
    """The profile of a verb, as its JSON file says it."""
    numbers = place / "profile.json"
    command = [sys.executable, "-m", "plait", "profile", "--overwrite", "-o", str(numbers), *words]
    environment = {**os.environ, "PLAIT_FEATURES": str(store), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
    return json.loads(numbers.read_text("utf-8"))


def shown(name: str, runs: list[dict[str, Any]]) -> None:
    """A table of the run that took least processor time."""
    best = min(runs, key=lambda r: r["processor_seconds"])
    seconds = ", ".join(f"{r['processor_seconds']:.1f}" for r in runs)
    print(f"\n**{name}**: {best['seconds']:.1f} s, processor seconds of each run {seconds}\n")
    body = [
        [p["phase"], f"{p['seconds']:.2f}", f"{p['seconds'] / best['seconds']:.0%}",
         "" if p["unit"] == "calls" else f"{p['amount']:,.0f} {p['unit']}"]
        for p in best["phases"]
        if p["seconds"] >= LEAST * best["seconds"]
    ]  # fmt: skip
    table(["phase", "seconds", "share", "done"], body)
    if best["limits"] is not None:
        limits, rate = best["limits"], best["encoding_gflops"]
        encoders = "" if rate is None else f"; encoders {rate:.0f} GFLOP/s, {rate / limits['gflops']:.0%} of it"
        print(f"\nmatrix product {limits['gflops']:.0f} GFLOP/s{encoders}; copy {limits['copy_gb']:.1f} GB/s")


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
        for name, runs in found.items():
            shown(name, runs)


if __name__ == "__main__":
    main()
