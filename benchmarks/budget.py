"""What a time limit buys: presets and limits on posts and houses, with seconds used and what was left out."""

from __future__ import annotations

import json
import time
from typing import Any

import plait
from ensemble import TABLES
from measure import arguments, quiet, table

PLANS: dict[str, dict[str, Any]] = {
    "single": {"preset": "single"}, "fast": {"preset": "fast"}, "best": {"preset": "best"},
    "30s": {"time_limit": "30s"},
    "2m": {"time_limit": "2m"}, "10m": {"time_limit": "10m"}, "search 9": {"search": 9},
}  # fmt: skip


def one(source: Any, how: dict[str, Any], given: dict[str, Any], seed: int) -> dict[str, Any]:
    """Fit: seconds of wall and processor, and the numbers that chose and that were held out."""
    wall, processor = time.monotonic(), time.process_time()
    model = plait.fit(source, seed=seed, progress=quiet, **how, **given)
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    report = model.report
    primary = report["metric"]["name"]
    board, budget = model.leaderboard(), report.get("budget") or {}
    return {
        "wall": wall, "processor": processor, "limit": budget.get("limit"), "primary": primary,
        "validation": board[0]["validation"] if board else None,
        "test": report["evaluation"]["metrics"][primary]["value"],
        "models": max(1, sum(m["status"] in ("used", "not chosen") for m in board)),
        "left out": [o["what"] for o in budget.get("left_out", [])],
    }  # fmt: skip


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=".", seeds=1, options={"--only": "posts,houses", "--plans": ",".join(PLANS)})
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        one(source, how, PLANS["single"], 0)  # so that the store is warm for all alike
        body = []
        for plan in given.plans.split(","):
            for seed in range(given.seeds):
                found = one(source, how, PLANS[plan], seed)
                print(json.dumps({"table": name, "plan": plan, "seed": seed, **found}), flush=True)
                best = "" if found["validation"] is None else f"{found['validation']:.3f}"
                body.append(
                    [
                        plan, str(seed), f"{found['wall']:.0f}", f"{found['processor']:.0f}", str(found["models"]),
                        best, f"{found['test']:.3f}", ", ".join(found["left out"]),
                    ]
                )  # fmt: skip
        print(f"\n{name}\n")
        head = ["seed", "wall s", "processor s", "models", "best member, validation", "test", "left out"]
        table(["plan", *head], body)


if __name__ == "__main__":
    main()
