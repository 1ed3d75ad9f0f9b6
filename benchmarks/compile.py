"""What ``torch.compile`` gives the heads on stored features, and after how many steps it has paid for itself.

The networks are those that ``plait fit`` builds on a text of 384 and a picture of 1,280 stored numbers (fusion and
head, dropout as the default recipe). A step is forward, backward, clipping and AdamW on a batch that stands ready, in a
plain loop, which is what compiling could make faster; what the Trainer does around it stays. The compiled side compiles
the network (forward and backward); clipping and optimizer are the same on both sides. On an accelerator the mode is
"reduce-overhead" (CUDA graphs), on a processor the default one.

Both sides run in turns in one process; ratios are taken round by round, and milliseconds are those of the quickest
round. "With compiling" divides the seconds of ``--steps`` steps by those of the compiled side with the seconds of
compiling added; "pays after" is the number of steps from which on these are made up. The difference is that of the
gradients of one batch without dropout, relative to the largest, at the smallest batch.

Run: python benchmarks/compile.py [--rounds 3] [--steps 200] [--threads 1] [--cases all]      (minutes)
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # each compiles as the first time

import torch
from torch import nn

from measure import arguments, line, table
from plait.inference.forward import to_device
from plait.training.optimizer import make_optimizer
from stacked import DROPOUT, Case, model_of, rows_of, settings_of
from turns import in_turns

EAGER, COMPILED = "eager", "compiled"
BATCHES = (32, 64, 256)
CASES = tuple(
    Case(fusion, 1, batch, width=width, rows=4 * batch)
    for fusion, width in (("concat", 256), ("concat", 64), ("gated", 256))
    for batch in BATCHES
)
QUICK = (Case("concat", 1, 16, width=16, rows=64),)
HEAD = ["network", "batch", "a step, ms", "compiled, ms", "times as fast, processor time", "clock", "with compiling",
        "seconds of compiling", "pays after, steps", "difference"]  # fmt: skip


@dataclass
class Side:
    """A network that learns, one way.

    Attributes:
        model: The network itself.
        call: What is called in its place.
        optimizer: Its optimizer.
    """

    model: nn.Module
    call: Callable[..., Any]
    optimizer: torch.optim.Optimizer


def side_of(case: Case, device: torch.device, name: str) -> Side:
    """A fresh network."""
    model = model_of(case, 0, DROPOUT).to(device)
    optimizer = make_optimizer(model, settings_of(case, 0))
    model.train()
    if name == EAGER:
        return Side(model, model, optimizer)
    return Side(model, torch.compile(model, mode=mode_on(device)), optimizer)


def mode_on(device: torch.device) -> str:
    """CUDA graphs where there are any."""
    return "reduce-overhead" if device.type == "cuda" else "default"


def batches_of(case: Case, device: torch.device) -> list[Any]:
    """Batches that stand ready."""
    rows = rows_of(case)
    numbers = range(case.rows)
    return [
        to_device(rows.__getitems__(list(numbers[start : start + case.batch])), device)
        for start in range(0, case.rows, case.batch)
    ]


def train(side: Side, batches: list[Any], steps: int, device: torch.device) -> float:
    """So many steps; the last loss."""
    loss = torch.zeros(())
    for step in range(steps):
        if device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        loss = side.call(**batches[step % len(batches)])["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(side.model.parameters(), 1.0)
        side.optimizer.step()
        side.optimizer.zero_grad()
    return float(loss.detach())


def difference(case: Case, batches: list[Any], device: torch.device) -> float:
    """Largest difference of a gradient of one batch without dropout, by the largest gradient."""
    found = []
    for name in (EAGER, COMPILED):
        side = side_of(case, device, name)
        side.model.eval()
        side.call(**batches[0])["loss"].backward()
        found.append([p.grad.clone() for p in side.model.parameters() if p.grad is not None])
    largest = max(float(a.abs().max()) for a in found[0])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True)) / largest


def measured(case: Case, steps: int, rounds: int, device: torch.device) -> list[str]:
    """A row of the table."""
    torch.compiler.reset()  # else the number of networks would count against what one forward may be compiled for
    batches = batches_of(case, device)
    sides = {name: side_of(case, device, name) for name in (EAGER, COMPILED)}
    train(sides[EAGER], batches, 3, device)
    began = time.perf_counter()
    train(sides[COMPILED], batches, 3, device)
    compiling = time.perf_counter() - began
    turns = in_turns({name: partial(train, side, batches, steps, device) for name, side in sides.items()}, rounds)
    clock = {name: min(turns.seconds[name]) / steps for name in sides}
    ratios = [turns.cpu_ratio(EAGER, COMPILED), turns.ratio(EAGER, COMPILED)]
    apart = f"{difference(case, batches, device):.0e}" if case.batch <= BATCHES[0] else ""
    gained = clock[EAGER] - clock[COMPILED]
    return [
        f"{case.fusion}, width {case.width}", str(case.batch), f"{1000 * clock[EAGER]:.2f}",
        f"{1000 * clock[COMPILED]:.2f}", *[f"{r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in ratios],
        f"{steps * clock[EAGER] / (steps * clock[COMPILED] + compiling):.2f}", f"{compiling:.0f}",
        f"{math.ceil(compiling / gained):,}" if gained > 0 else "never", apart,
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    options = {"--rounds": "3", "--steps": "200", "--threads": "1", "--cases": "all"}
    given = arguments(__doc__ or "", data=None, options=options)
    torch.set_num_threads(int(given.threads))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cases = CASES if given.cases == "all" else tuple(CASES[int(i)] for i in given.cases.split(","))
    print(f"{device.type}, {given.threads} threads, {given.rounds} rounds of {given.steps} steps, "
          f"PyTorch {torch.__version__}\n")  # fmt: skip
    table(HEAD, [])
    for case in cases:
        line(measured(case, int(given.steps), int(given.rounds), device))


if __name__ == "__main__":
    main()
