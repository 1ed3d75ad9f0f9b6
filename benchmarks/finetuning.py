"""Posts (text and photo) with encoders frozen, by their last two blocks, by LoRA and in full.

Which columns learn is chosen one by one (``encoders.tuning_of``); those that do not are read from the feature store.
Everything else is the recipe's choice. ``--inputs`` and ``--ways`` name what is tried; ``--limit`` (seconds) stops the
training of every run at the same time. Photos are fed at 128 px, frozen ones too, so that the comparison is of
training alone.
"""

from __future__ import annotations

import time
from typing import Any

import plait
from measure import arguments, line, metric, quiet

INPUTS = {"text": ["text"], "image": ["image"], "text+image": ["text", "image"]}
METRICS = ("accuracy", "f1_macro", "log_loss")
SETS = ["encoders.image_size=128", "train.baselines=false", "judge.missing_rows=0", "train.threads=1"]


def main() -> None:
    """Run and print a row a run, as it ends."""
    given = arguments(
        __doc__ or "", data="posts-sentiment", seeds=1,
        options={"--inputs": "text", "--columns": "", "--ways": "frozen,last_n,lora,full", "--limit": "", "--set": ""},
    )  # fmt: skip
    head = ["inputs", "learns", "how", "seed", *(f"validation {m}" for m in METRICS), *(f"test {m}" for m in METRICS)]
    line([*head, "epoch", "seconds of training", "processor seconds"])
    line(["---"] * (len(head) + 3))
    for seed in range(given.seeds):
        for inputs in given.inputs.split(","):
            for way in given.ways.split(","):
                columns = INPUTS[given.columns or inputs] if way != "frozen" else []
                line([inputs, "+".join(columns) or "nothing", way, str(seed), *_run(given, inputs, columns, way, seed)])


def _run(given: Any, inputs: str, columns: list[str], way: str, seed: int) -> list[str]:
    """The numbers of one run: validation rows at the kept epoch, test rows, time."""
    own = [f"encoders.tuning_of.{column}={way}" for column in columns]
    own += [f"train.{one}" for one in given.set.split(",") if one]
    started = time.process_time()
    report = plait.fit(
        given.data / "posts.csv", "sentiment", split="split", seed=seed, progress=quiet, set=[*SETS, *own],
        ignore=[column for column in ("text", "image") if column not in INPUTS[inputs]],
        time_limit=given.limit or None, preset="single",
    ).report  # fmt: skip
    used = time.process_time() - started
    kept = report["history"][report["best_epoch"] - 1]
    return [
        *(f"{kept[f'val_{name}']:.3f}" for name in METRICS), *(f"{metric(report, name):.3f}" for name in METRICS),
        f"{report['best_epoch']} of {len(report['history'])}", f"{report['facts']['training_seconds']:.0f}",
        f"{used:.0f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
