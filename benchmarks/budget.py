"""What a time limit buys, and whether it is kept: presets and limits, each in a process of its own.

Seconds are those of the whole process, from its start to its end, imports and saving included; ``load`` is the mean
number of processes that wanted a core meanwhile, for on a busy machine imports alone can take longer than a limit of
seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STARTED = time.monotonic()  # the limit counts from here, before what takes long to import
PLANS: dict[str, dict[str, Any]] = {
    "single": {"preset": "single"}, "fast": {"preset": "fast"}, "best": {"preset": "best"},
    "20s": {"time_limit": "20s"}, "40s": {"time_limit": "40s"}, "60s": {"time_limit": "60s"},
    "2m": {"time_limit": "2m"}, "10m": {"time_limit": "10m"}, "search 9": {"search": 9},
}  # fmt: skip
ONE = "--one"


def one(name: str, plan: str, data: Path, seed: int) -> dict[str, Any]:
    """Fit and save in this process: the numbers that chose and that were held out, and what was left out."""
    import plait
    from ensemble import TABLES
    from measure import quiet
    from plait.api.clock import counted_from

    source, how = TABLES[name](data)
    with tempfile.TemporaryDirectory() as folder, counted_from(STARTED):
        model = plait.fit(source, seed=seed, output=Path(folder) / "model", progress=quiet, **PLANS[plan], **how)
    report, board = model.report, model.leaderboard()
    primary, budget = report["metric"]["name"], report.get("budget") or {}
    return {
        "limit": budget.get("limit"), "primary": primary,
        "validation": board[0]["validation"] if board else None,
        "test": report["evaluation"]["metrics"][primary]["value"],
        "models": max(1, sum(m["status"] in ("used", "not chosen") for m in board)),
        "left out": [o["what"] for o in budget.get("left_out", [])], "cut": budget.get("cut", []),
    }  # fmt: skip


def measured(name: str, plan: str, data: Path, seed: int) -> dict[str, Any]:
    """``one`` in a new process, with its seconds of wall and processor, and how busy the machine was."""
    spent, load = os.times(), os.getloadavg()[0]
    wall = time.monotonic()
    command = [sys.executable, __file__, ONE, name, plan, str(data), str(seed)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    wall = time.monotonic() - wall
    now = os.times()
    processor = now.children_user + now.children_system - spent.children_user - spent.children_system
    return {**json.loads(answer), "wall": wall, "processor": processor, "load": (load + os.getloadavg()[0]) / 2}


def main() -> None:
    """Run and print."""
    from measure import arguments, table

    options = {"--only": "posts,houses,rosmap", "--plans": ",".join(PLANS)}
    given = arguments(__doc__ or "", data=".", seeds=1, options=options)
    for name in given.only.split(","):
        measured(name, "single", given.data, 0)  # so that the store is warm for all alike
        body = []
        for plan in given.plans.split(","):
            for seed in range(given.seeds):
                found = measured(name, plan, given.data, seed)
                print(json.dumps({"table": name, "plan": plan, "seed": seed, **found}), flush=True)
                best = "" if found["validation"] is None else f"{found['validation']:.3f}"
                over = "" if found["limit"] is None else f"{found['wall'] / found['limit'] - 1:+.0%}"
                body.append(
                    [
                        plan, str(seed), f"{found['wall']:.0f}", over, f"{found['processor']:.0f}",
                        f"{found['load']:.1f}", str(found["models"]), best, f"{found['test']:.3f}",
                        ", ".join(found["left out"]), ", ".join(found["cut"]),
                    ]
                )  # fmt: skip
        print(f"\n{name}\n")
        head = ["seed", "wall s", "over the limit", "processor s", "load", "models", "best member, validation", "test"]
        table(["plan", *head, "left out", "cut"], body)


if __name__ == "__main__":
    if sys.argv[1:2] == [ONE]:
        print(json.dumps(one(sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))))
    else:
        main()
