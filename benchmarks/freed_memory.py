"""What it costs that the C library hands freed memory back to the system between two forward passes.

Each side runs in processes of its own, in turns: as GNU's C library does by default, and as Plait sets it when it
encodes (``plait.data.memory.keep_freed``). Printed are processor seconds of the user and of the system an item, page
faults a forward pass, and the most memory held; networks are drawn from their configurations, inputs are noise.

Run: python benchmarks/freed_memory.py [--threads 1] [--repeats 5] [--models tf_efficientnet_lite0,...]     (minutes)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from statistics import median
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

MODELS = "tf_efficientnet_lite0,mobilenetv3_small_100,resnet18,text:384x6x32"
PASSES = 12
SIDES = ("as by default", "kept")


def measure_one(model: str, side: str, threads: int) -> dict[str, float]:
    """In this process: user and system milliseconds an item, page faults a pass, the peak in MB."""
    import torch

    from batch_size import forward_of
    from plait.data.memory import keep_freed

    if side == "kept" and not keep_freed():
        raise SystemExit("this C library has no such setting, or the environment decides (MALLOC_*, GLIBC_TUNABLES)")
    torch.set_num_threads(threads)
    network, whole = forward_of(model)
    at_once = len(next(iter(whole.values()))) if model.startswith("text:") else 6
    inputs = {name: tensor[:at_once] for name, tensor in whole.items()}
    if "x" in inputs:
        inputs["x"] = inputs["x"].contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode():
            network(**inputs)

    for _ in range(3):
        forward()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(PASSES):
        forward()
    after = resource.getrusage(resource.RUSAGE_SELF)
    items = PASSES * at_once
    return {
        "user": 1000 * (after.ru_utime - before.ru_utime) / items,
        "system": 1000 * (after.ru_stime - before.ru_stime) / items,
        "faults": (after.ru_minflt - before.ru_minflt) / PASSES, "peak": after.ru_maxrss / 1024,
    }  # fmt: skip


def in_a_process(*words: str) -> dict[str, float]:
    """The same in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--one", *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def shown(values: list[float], digits: int) -> str:
    """Median and range."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="processes of each side")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--one", nargs=3, metavar=("MODEL", "SIDE", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure_one(given.one[0], given.one[1], int(given.one[2]))))
        return
    from measure import table

    rows: list[list[Any]] = []
    for model in given.models.split(","):
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for number in range(given.repeats):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                found[side].append(in_a_process(model, side, str(given.threads)))
        spent = {side: [one["user"] + one["system"] for one in found[side]] for side in SIDES}
        ratios = [kept / usual for usual, kept in zip(spent[SIDES[0]], spent[SIDES[1]], strict=True)]
        for side in SIDES:
            of = {key: [one[key] for one in found[side]] for key in ("user", "system", "faults", "peak")}
            ratio = shown(ratios, 2) if side == "kept" else ""
            rows.append([
                model, side, shown(of["user"], 2), shown(of["system"], 2), f"{median(of['faults']):,.0f}",
                f"{median(of['peak']):,.0f}", ratio,
            ])  # fmt: skip
    ms = "ms an item"
    table(["network", "freed memory", f"user {ms}", f"system {ms}", "faults a pass", "peak MB", "of default"], rows)


if __name__ == "__main__":
    main()
