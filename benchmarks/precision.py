"""Training steps in float32 and in bfloat16 (``train.precision``), in turns, in one process.

Of a writer a step is loss and gradient of a batch of captions behind a prefix; of an encoder that learns whole it is
forward and backward of a batch of texts of 16 tokens or pictures of 224 px. Without an accelerator CPU time is measured
(of all threads): a busy machine hardly changes it. Whether the CPU multiplies in bfloat16 at all is told: where it does
not, PyTorch imitates it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from generation_speed import WIDTH, head_of
from measure import line, table
from plait.encoders import load_encoder
from plait.encoders.tuning import set_tuning
from plait.fusion.base import FusionOutput

Step = Callable[[torch.dtype], None]


def writer_step(name: str, batch: int, prefix: int, tokens: int, device: str) -> Step:
    """Of a writer from scratch, or of a frozen language model behind a prefix that learns."""
    head = head_of(name).to(device).train()
    if name != "scratch":
        head.lm.requires_grad_(False)  # frozen, as by default
    tokens_BTD = torch.randn(batch, prefix, WIDTH, device=device)
    target_BRL = torch.randint(3, 300, (batch, 1, tokens), device=device)
    fused = FusionOutput(tokens_BTD.mean(1), tokens=tokens_BTD)
    present_BM = torch.ones(batch, 1, dtype=torch.bool, device=device)

    def step(dtype: torch.dtype) -> None:
        head.compute_dtype = dtype
        head.batch_loss(fused, present_BM, target_BRL, None, None).backward()

    return step


def encoder_step(reference: str, kind: str, batch: int, device: str) -> Step:
    """Of an encoder all of which learns (``encoders.tuning=full``)."""
    encoder, processor = load_encoder(reference, kind)
    set_tuning(encoder, "full")
    encoder.to(device).train()
    inputs: dict[str, Any] = {"pixel_values": torch.randn(batch, 3, 224, 224)}
    if kind == "text":
        texts = [f"number {i} of a few words that say nothing of the rows beside" for i in range(batch)]
        inputs = processor.process(texts)
    inputs = {key: value.to(device) for key, value in inputs.items()}

    def step(dtype: torch.dtype) -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            vector_BD = encoder(**inputs).vector_BD
        vector_BD.float().square().mean().backward()

    return step


def measured(step: Step, turns: int, device: str) -> list[str]:
    """Seconds of a step in both, and the ratio."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for turn in range(turns + 1):
        for dtype, taken in seconds.items():
            started = clock()
            step(dtype)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first turn warms up
                taken.append(clock() - started)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    middle = [f"{statistics.median(taken):.2f}" for taken in seconds.values()]
    return [*middle, f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=["scratch", "smollm2-135m"])
    parser.add_argument("--encoders", nargs="*", default=["minilm:text", "efficientnet-lite0:image"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prefix", type=int, default=8, help="fused tokens a row")
    parser.add_argument("--tokens", type=int, default=20, help="tokens of a caption")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps: dict[str, Callable[[], Step]] = {
        f"writer {name}": partial(writer_step, name, given.batch, given.prefix, given.tokens, device)
        for name in given.models
    }
    for named in given.encoders:
        reference, _, kind = named.rpartition(":")
        steps[f"encoder {reference}"] = partial(encoder_step, reference, kind, given.batch, device)
    native = "" if device == "cuda" or torch.cpu._is_avx512_bf16_supported() else ", no bfloat16 in hardware"
    print(f"{device}{native}, {given.batch} rows, writers {given.prefix} + {given.tokens} tokens, "
          f"{torch.get_num_threads()} threads\n")  # fmt: skip
    table(["what learns", "float32 s a step", "bfloat16 s", "times as fast (range)"], [])
    for name, made in steps.items():
        line([name, *measured(made(), given.turns, device)])


if __name__ == "__main__":
    main()
