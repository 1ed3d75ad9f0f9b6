"""Encoders that learn whole, replicated and sharded (``train.fsdp``), on two processes of one machine, in turns.

Starts itself under torchrun. A fit of each kind takes turns with the other; of each are counted the bytes of parameters
that learn, of their gradients and of the optimizer's state that a process holds, the most bytes of encoder weights at
any module of a forward pass, and the time of a step (forward, backward, optimizer), the median over a fit's steps but
the first. A ratio is the sharded step over the replicated one beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch

from measure import table

KINDS = {"replicated": [], "sharded": ["train.fsdp=true"]}
MB = 1e6


def main() -> None:
    """Start the processes, or measure in one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="minilm", help="text encoder that is tuned whole")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16, help="rows of a step, of all processes together")
    parser.add_argument("--words", type=int, default=30, help="words of a text")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if "WORLD_SIZE" not in os.environ:
        started = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={given.processes}")
        sys.exit(subprocess.run([sys.executable, *started, *sys.argv], check=False).returncode)
    first = os.environ["RANK"] == "0"
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(given.rounds + 1):
        for kind in KINDS if number % 2 else reversed(KINDS):
            found = measured(given, KINDS[kind])
            if number:  # the first round warms up
                seen[kind].append(found)
    if first:
        show(given, seen)
    torch.distributed.destroy_process_group()


def measured(given: argparse.Namespace, options: list[str]) -> dict[str, float]:
    """One fit of one epoch: bytes of this process, and seconds of a step."""
    import plait
    from plait.training import trainer

    found: dict[str, float] = dict.fromkeys(("parameters", "gradients", "state", "gathered"), 0.0)
    marks: list[float] = []
    make = trainer.make_optimizer

    def watched(model: Any, *arguments: Any) -> torch.optim.Optimizer:
        optimizer = make(model, *arguments)

        def see(*_: Any) -> None:
            marks.append(time.perf_counter())
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            states = [value for weight in weights for value in optimizer.state.get(weight, {}).values()]
            grads = [weight.grad for weight in weights if weight.grad is not None]
            for name, held in (("parameters", weights), ("gradients", grads), ("state", states)):
                found[name] = max(found[name], sum(t.nbytes for t in held if torch.is_tensor(t)))

        def see_weights(*_: Any) -> None:
            weights = [w for w in model.encoders.parameters() if w.requires_grad]
            lie = sum((w.to_local() if hasattr(w, "to_local") else w).nbytes for w in weights)
            found["gathered"] = max(found["gathered"], lie)

        optimizer.register_step_pre_hook(see)
        for module in model.encoders.modules():
            module.register_forward_pre_hook(see_weights)
        return optimizer

    trainer.make_optimizer = watched
    try:
        plait.fit(
            rows(given), "class", text=["text"], image=["image"], split="split", epochs=1, preset="single", seed=0,
            fusion="gated", progress=False,
            set=[
                f"encoders.text={given.text}", "encoders.image=scratch:image", "encoders.image_size=32",
                "encoders.tuning=full", f"train.batch_size={given.batch}", "train.baselines=false",
                "judge.missing_rows=0", "judge.corrupted_rows=0", *options,
            ],
        )  # fmt: skip
    finally:
        trainer.make_optimizer = make
    steps = [after - before for before, after in zip(marks, marks[1:], strict=False)]
    return found | {"step": statistics.median(steps)}


def rows(given: argparse.Namespace) -> dict[str, list[Any]]:
    """Texts of some words and pictures of 32 pixels, with one of two classes."""
    rng = np.random.default_rng(0)
    words = ["red", "blue", "round", "flat", "small", "wide", "of", "the", "house", "river"]
    texts = [f"{i} " + " ".join(rng.choice(words, size=given.words)) for i in range(given.rows)]
    return {
        "text": texts,
        "image": [rng.integers(0, 256, size=(32, 32, 3), dtype=np.uint8) for _ in range(given.rows)],
        "class": [("yes", "no")[i % 2] for i in range(given.rows)],
        "split": ["val" if i % 16 == 15 else "train" for i in range(given.rows)],
    }


def show(given: argparse.Namespace, seen: dict[str, list[dict[str, float]]]) -> None:
    """Print the table of the first process."""
    body = []
    for kind, fits in seen.items():
        most = {name: max(one[name] for one in fits) / MB for name in fits[0]}
        steps = [one["step"] for one in fits]
        ratios = [one["step"] / other["step"] for one, other in zip(fits, seen["replicated"], strict=True)]
        body.append([
            kind, *(f"{most[name]:.1f}" for name in ("parameters", "gradients", "state", "gathered")),
            f"{statistics.median(steps):.2f} ({min(steps):.2f} to {max(steps):.2f})",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        ])  # fmt: skip
    device = "accelerator" if torch.cuda.is_available() else "CPU"
    print(
        f"{given.processes} processes, one {device}, {given.text} and scratch:image, batches of {given.batch}, "
        f"{given.rounds} rounds; load {os.getloadavg()[0]:.1f}\n"
    )
    columns = ["encoders", "parameters, MB", "gradients, MB", "optimizer state, MB", "most encoder weights, MB"]
    table([*columns, "s a step (range)", "ratio (range)"], body)


if __name__ == "__main__":
    main()
