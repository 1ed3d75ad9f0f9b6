"""easy-VQA, official test split: answers chosen from a list (closed) and written by a generator (open)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import gettempdir

import plait
from measure import interval, quiet, table
from plait.data.catalog.datasets import fetch_dataset

OPEN = [
    "language.vocabulary=300",
    "language.max_tokens=6",
    "language.width=128",
    "language.layers=2",
]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=["closed", "open"])
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="A.B=C")
    given = parser.parse_args()
    source = fetch_dataset("easy-vqa", Path(gettempdir()) / "plait-easy-vqa")
    body, samples = [], []
    for kind in given.kinds:
        started = time.monotonic()
        fitted = plait.fit(
            str(source), "answer", task="vqa", split="split", group="image_id", seed=given.seed, epochs=given.epochs,
            progress=quiet, set=["train.baselines=false", f"task.answers={kind}", *(OPEN if kind == "open" else []),
                                 *given.set],
        )  # fmt: skip
        report = fitted.report
        without = report["evaluation"]["without"]
        body.append([
            f"{kind} ({fitted.settings.fusion.name}, {fitted.settings.task.head})", interval(report, "accuracy", 4),
            *(f"{without[name]['accuracy']['value']:.3f}" for name in ("image", "question")),
            f"{report['model']['parameters']['trained']:,}", f"{time.monotonic() - started:.0f}",
        ])  # fmt: skip
        samples += [f"- {kind}: {e['truth']} / {e['prediction']}" for e in report["evaluation"]["examples"][-4:]]
    table(["answers", "test accuracy", "without image", "without question", "trained parameters", "seconds"], body)
    print("\n".join(["", "Truth / answer of some rows, the worst among them:", *samples]))


if __name__ == "__main__":
    main()
