"""One network, and several models that answer together: the presets on the same tables, seed by seed, with seconds.

The best member is the one that the choosing rows named; its test number is beside that of all together, and beside
those of the linear model of everything (standardised frozen vectors, penalty by validation) and of the boosted trees
on the columns of the table, scikit-learn's, whether they were chosen or not.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import plait
import published_features
from measure import arguments, metric, quiet, spread, table

PRESETS = ("single", "fast", "best")
ALONE = ("linear of everything", "trees of tabular")
WANTED = {"classification": ("accuracy", "f1_macro", "log_loss"), "regression": ("r2", "mae")}


def posts(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Sentiment of posts from text and photo."""
    return folder / "posts-sentiment" / "posts.csv", {"target": "sentiment", "split": "split"}


def houses(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Price of a house from four photos and its numbers."""
    return folder / "houses" / "houses.csv", {"target": "price", "split": "split", "categorical": "zipcode"}


def mosi(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Sentiment of utterances from ready vectors."""
    columns, roles = published_features.mosi(folder / "published")
    return columns, {"target": "label", "split": "split", "task": "classification", **roles}


def rosmap(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Alzheimer's disease from three kinds of measurements."""
    columns, roles = published_features.rosmap(folder / "published")
    return columns, {"target": "label", "split": "split", "task": "classification", **roles}


TABLES = {"posts": posts, "houses": houses, "mosi": mosi, "rosmap": rosmap}


def one(source: Any, given: dict[str, Any], preset: str, seed: int) -> dict[str, Any]:
    """Fit and evaluate: numbers of all together and of the best member, seconds, megabytes."""
    started = time.monotonic()
    model = plait.fit(source, preset=preset, seed=seed, progress=quiet, **given)
    seconds = time.monotonic() - started
    report = model.report
    found = {name: metric(report, name) for name in WANTED[report["task"]]}
    patterns = report["evaluation"].get("patterns") or []
    best = patterns[0] if patterns else {}
    primary = report["metric"]["name"]
    alone = {name: entry[primary]["value"] for name, entry in report["evaluation"]["alone"].items()}
    members = {m["name"]: m["metrics"][primary] for m in report["evaluation"].get("members", [])}
    return {
        **found, "seconds": seconds, "members": members,
        "megabytes": sum(m["megabytes"] for m in report["evaluation"].get("members", [])),
        "best member": best.get("best member", ""), "alone": alone,
        "best member metrics": (best.get("best member metrics") or {}).get(primary), "primary": primary,
        "worse patterns": sum(_is_worse(p["difference"], report["metric"]["higher_is_better"]) for p in patterns),
        "patterns": len(patterns),
    }  # fmt: skip


def _is_worse(difference: dict[str, Any], higher_is_better: bool) -> bool:
    """Whether the whole interval lies on the wrong side."""
    low, high = difference["low"], difference["high"]
    return low is not None and high is not None and (high < 0 if higher_is_better else low > 0)


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=3, options={"--only": ",".join(TABLES), "--presets": ",".join(PRESETS)}
    )
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        body = []
        for preset in given.presets.split(","):
            runs = []
            for seed in range(given.seeds):
                runs.append(one(source, how, preset, seed))
                print(json.dumps({"table": name, "preset": preset, "seed": seed, **runs[-1]}), flush=True)
            wanted = [k for k in runs[0] if k in (*WANTED["classification"], *WANTED["regression"])]
            members = [r["best member metrics"] for r in runs if r["best member metrics"] is not None]
            known = [[r["members"][name] for r in runs if name in r["members"]] for name in ALONE]
            body.append(
                [
                    preset, *(spread([r[k] for r in runs], 0 if k == "mae" else 3) for k in wanted),
                    spread(members) if members else "", ", ".join(sorted({r["best member"] for r in runs})),
                    *(spread(values) if values else "" for values in known),
                    f"{max(r['worse patterns'] for r in runs)} of {runs[0]['patterns']}" if members else "",
                    f"{sum(r['seconds'] for r in runs) / len(runs):.0f}",
                    f"{max(r['megabytes'] for r in runs):.0f}",
                ]
            )  # fmt: skip
        head = [
            f"best member, {runs[0]['primary']}", "which", *ALONE, "patterns clearly worse than it", "seconds", "MB",
        ]  # fmt: skip
        print(f"\n{name}, {given.seeds} seeds, mean (range)\n")
        table(["preset", *wanted, *head], body)
        print()


if __name__ == "__main__":
    main()
