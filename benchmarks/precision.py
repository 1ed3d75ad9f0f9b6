"""Training steps of a writer in float32 and in bfloat16 (``train.precision``), in turns, in one process.

A step is loss and gradient of a batch of captions behind a prefix. Without an accelerator CPU time is measured (of all
threads): a busy machine hardly changes it.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from generation_speed import WIDTH, head_of
from measure import table
from plait.fusion.base import FusionOutput


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=["scratch", "smollm2-135m"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prefix", type=int, default=8, help="fused tokens a row")
    parser.add_argument("--tokens", type=int, default=20, help="tokens of a caption")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.perf_counter if device == "cuda" else time.process_time
    body = []
    for name in given.models:
        head = head_of(name).to(device).train()
        if name != "scratch":
            head.lm.requires_grad_(False)  # frozen, as by default
        tokens_BTD = torch.randn(given.batch, given.prefix, WIDTH, device=device)
        target_BRL = torch.randint(3, 300, (given.batch, 1, given.tokens), device=device)
        fused = FusionOutput(tokens_BTD.mean(1), tokens=tokens_BTD)
        present_BM = torch.ones(given.batch, 1, dtype=torch.bool, device=device)
        seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
        for turn in range(given.turns + 1):
            for dtype, taken in seconds.items():
                head.compute_dtype = dtype
                started = clock()
                head.batch_loss(fused, present_BM, target_BRL, None, None).backward()
                if device == "cuda":
                    torch.cuda.synchronize()
                if turn:  # the first turn warms up
                    taken.append(clock() - started)
        ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
        middle = [f"{statistics.median(taken):.2f}" for taken in seconds.values()]
        body.append([name, *middle, f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"])
    print(f"{device}, {given.batch} rows, {given.prefix} + {given.tokens} tokens, {torch.get_num_threads()} threads\n")
    table(["writer", "float32 s a step", "bfloat16 s", "times as fast (range)"], body)


if __name__ == "__main__":
    main()
