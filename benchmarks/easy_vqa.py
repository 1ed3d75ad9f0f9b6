"""easy-VQA, official test split: question + image against each alone. Fetches the data set when it is not here."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import gettempdir

import plait
from measure import arguments, interval, metric, quiet, spread, table
from plait.data.catalog.datasets import fetch_dataset


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=None)
    source = fetch_dataset("easy-vqa", Path(gettempdir()) / "plait-easy-vqa")
    reports, seconds = [], []
    for seed in range(given.seeds):
        started = time.monotonic()
        fitted = plait.fit(
            str(source), "answer", split="split", group="image_id", seed=seed, progress=quiet,
            set=[] if seed == 0 else ["train.baselines=false"],
        )  # fmt: skip
        seconds.append(time.monotonic() - started)
        reports.append(fitted.report)
    first = reports[0]
    body = [
        [
            "question + image",
            spread([metric(r, "accuracy") for r in reports], 4),
            interval(first, "accuracy", 4),
        ]
    ]
    body += [[f"{n} alone", "", interval(first, "accuracy", 4, n)] for n in first["evaluation"]["alone"]]
    table(["inputs", f"test accuracy, mean of {given.seeds} seeds (range)", "seed 0 with 95% interval"], body)
    print(f"\nseconds a run (the first one also encodes and trains each modality alone): {[round(s) for s in seconds]}")
    print(f"- {first['verdict']}")


if __name__ == "__main__":
    main()
