"""Ten kinds of sound (ESC-10, folds 1 and 2): an encoder learned from scratch beside a frozen speech encoder.

Each fold is judged once by models that learned on the other one, so every clip is judged. One in five clips of the
fold that is learned from is set aside to choose the epoch. Whisper has learned to hear speech, not sounds.

Reference: Piczak 2015 (ESC: dataset for environmental sound classification); its five-fold numbers, with 320 clips to
learn from instead of 80, are not comparable: people 0.957, random forest on MFCC 0.727.
"""

from __future__ import annotations

import json
import time

import numpy as np

import plait
from measure import arguments, quiet, spread, table
from plait.data.split import carve_validation
from plait.data.table import read_table
from plait.metrics.intervals import bootstrap_interval
from plait.metrics.label import classification_metrics

ENCODERS = {
    "Whisper tiny.en, frozen, window of 5 s": ["encoders.audio=whisper-tiny-en", "encoders.audio_seconds=5"],
    "from scratch": ["encoders.audio=scratch:audio"],
    "Whisper tiny.en, frozen, its own window of 30 s": ["encoders.audio=whisper-tiny-en"],
}


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="esc10-sounds", seeds=5, options={"--scratch-seeds": "1"})
    rows = read_table(given.data / "sounds.csv")
    label, fold_N = rows.column("label"), np.array(rows.column("fold"))
    classes = sorted(set(label))
    truth_N = np.array([classes.index(name) for name in label])
    body = []
    for name, settings in ENCODERS.items():
        right, f1, seconds = [], [], []
        seeds = int(given.scratch_seeds) if "scratch" in name else given.seeds  # minutes a fold
        for seed in range(seeds):
            chosen_N = np.full(len(rows), -1)
            for fold in sorted(set(fold_N.tolist())):
                split = ["test" if f == fold else "train" for f in fold_N]
                parts = carve_validation(split, target=label, fraction=0.2, seed=seed)
                started = time.monotonic()
                fitted = plait.fit(
                    rows.with_column("split", list(parts)), "label", audio="audio", ignore="fold", split="split",
                    seed=seed, progress=quiet, set=settings,
                )  # fmt: skip
                seconds.append(time.monotonic() - started)
                judged = np.flatnonzero(fold_N == fold)
                answers = fitted.predict(rows.take(judged)).column("prediction").to_pylist()
                chosen_N[judged] = [classes.index(str(a)) for a in answers]
            right.append((chosen_N == truth_N).astype(float))
            f1.append(float(classification_metrics(truth_N, np.eye(len(classes))[chosen_N])["f1_macro"]))
            print(
                json.dumps({"encoder": name, "seed": seed, "accuracy": right[-1].mean(), "s": seconds[-2:]}), flush=True
            )
        low, high = bootstrap_interval(list(right[0]), len(rows))
        first = f"{right[0].mean():.3f} [{low:.3f}, {high:.3f}]"
        each = [float(r.mean()) for r in right]
        body.append(
            [name, str(seeds), spread(each), first, spread(f1), f"{max(seconds):.0f} / {np.median(seconds):.0f}"]
        )
        print("  ".join(body[-1]), flush=True)
    print()
    mean = "mean of the seeds (range)"
    timed = "s a fold: slowest / median"
    table(["encoder", "seeds", f"accuracy, {mean}", "seed 0 with 95% interval", f"macro-F1, {mean}", timed], body)
    print(f"\nchance {1 / len(classes):.3f}; {len(rows)} clips, each judged once")


if __name__ == "__main__":
    main()
