"""K networks on stored features, one after the other against all at once with stacked weights (``torch.func``).

The networks have the architecture of heads on stored features as ``plait fit`` builds them (a text of 384 numbers, a
picture of 1,280, width 256; with tokens where the fusion reads them) and differ by seed: each has its own start, its
own order of rows, its own clipping and its own schedule. Three ways train the same steps in turns in one process:

- **Trainer**: ``train_model``, one network after the other, as Plait does;
- **plain loop**: the same arithmetic one after the other without the Trainer's work between the steps;
- **stacked**: ``stack_module_state``, one ``vmap`` over ``functional_call``, one fused AdamW over stacked parameters.

Ratios are of processor time (and of the clock) against the Trainer, round by round. The last column is the largest
difference of any weight between the plain loop and the stack at the end, without dropout. The second table tells what
of a step of the Trainer is arithmetic: forward and backward, clipping and optimizer alone, on batches made before.

Run: python benchmarks/stacked.py [--threads 1] [--rounds 3] [--cases all]      (minutes)
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from measure import arguments, line, table
from plait.inputs.dataset import RowBatches
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.model import PlaitConfig, PlaitModel
from plait.settings import TrainSettings
from plait.training.collector import old_objects_set_aside
from plait.training.optimizer import make_optimizer
from plait.training.trainer import train_model
from turns import in_turns, spread_of

TEXT, IMAGE, CLASSES = 384, 1280, 3
WORDS, PATCHES = 24, 49
DROPOUT = 0.3
ONE, PLAIN, STACKED = "Trainer", "plain loop", "stacked"


@dataclass(frozen=True)
class Case:
    """What is trained."""

    fusion: str
    networks: int
    batch: int
    width: int = 256
    rows: int = 320
    epochs: int = 4
    tokens: bool = False


CASES = (
    Case("concat", 3, 32), Case("concat", 5, 32), Case("concat", 8, 32), Case("concat", 5, 128, rows=640),
    Case("concat", 5, 32, width=64), Case("gated", 5, 32), Case("low_rank", 5, 32),
    Case("co_attention", 5, 32, rows=64, epochs=2, tokens=True),
)  # fmt: skip


def settings_of(case: Case, seed: int) -> TrainSettings:
    """As the default recipe trains."""
    return TrainSettings(
        seed=seed, epochs=case.epochs, batch_size=case.batch, optimizer="adamw", learning_rate=1e-3,
        weight_decay=0.01, schedule="cosine", warmup=0.05, patience=0,
    )  # fmt: skip


def model_of(case: Case, seed: int, dropout: float) -> PlaitModel:
    """A fresh network."""
    torch.manual_seed(seed)
    dims = {"text": TEXT, "image": IMAGE}
    modalities = [
        {"name": n, "kind": n, "vector_dim": d, "token_dim": d if case.tokens else None, "encoder": None}
        for n, d in dims.items()
    ]
    fusion = {"name": case.fusion, "width": case.width, "dropout": dropout, "options": {}}
    return PlaitModel(PlaitConfig(modalities=modalities, fusion=fusion, num_outputs=CLASSES))


def rows_of(case: Case) -> RowBatches:
    """Rows with features in memory, as the store gives them."""
    rng = np.random.default_rng(0)
    sources: dict[str, Any] = {}
    for name, width, length in (("text", TEXT, WORDS), ("image", IMAGE, PATCHES)):
        vectors = rng.standard_normal((case.rows, width), dtype=np.float32)
        tokens = [rng.standard_normal((length, width)).astype(np.float16) for _ in vectors] if case.tokens else None
        sources[name] = FeatureSet.from_arrays(vectors, tokens)
    index = np.tile(np.arange(case.rows)[:, None], (1, 2))
    return RowBatches(sources, index, rng.integers(0, CLASSES, case.rows))


def orders(case: Case, seed: int) -> list[list[int]]:
    """Row numbers of every batch of a network."""
    generator, found = torch.Generator().manual_seed(seed), []
    for _ in range(case.epochs):
        order = torch.randperm(case.rows, generator=generator).tolist()
        found += [order[i : i + case.batch] for i in range(0, case.rows, case.batch)]
    return found


def factor(step: int, steps: int) -> float:
    """Warm-up and cosine, as the schedule of the Trainer."""
    warm = round(0.05 * steps)
    if step < warm:
        return step / max(1, warm)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def by_trainer(case: Case, models: list[PlaitModel], rows: RowBatches) -> list[PlaitModel]:
    """Plait's own training."""
    for seed, model in enumerate(models):
        with tempfile.TemporaryDirectory() as folder:
            train_model(model, rows, settings_of(case, seed), Path(folder) / "run", checkpoints=False)
    return models


def by_loop(case: Case, models: list[PlaitModel], rows: RowBatches) -> list[PlaitModel]:
    """One after the other without the Trainer."""
    for seed, model in enumerate(models):
        settings = settings_of(case, seed)
        optimizer = make_optimizer(model, settings)
        plan = orders(case, seed)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(factor, steps=len(plan)))
        model.train()
        for numbers in plan:
            loss = model(**rows.__getitems__(numbers))["loss"]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            float(loss.detach())
        model.eval()
    return models


def stacked_batch(rows: RowBatches, numbers: list[list[int]]) -> dict[str, Any]:
    """One batch a network, gathered at once: [K, B, ...]."""
    flat = rows.__getitems__([n for one in numbers for n in one])

    def split(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: split(v) for k, v in value.items()}
        return value.view(len(numbers), -1, *value.shape[1:])

    return split(flat)


def by_stack(case: Case, models: list[PlaitModel], rows: RowBatches) -> list[PlaitModel]:
    """All at once."""
    for model in models:
        model.train()
    parameters, buffers = stack_module_state(list[nn.Module](models))
    base = deepcopy(models[0]).to("meta")
    settings = settings_of(case, 0)
    vectors = [p for p in parameters.values() if p.ndim < 3]
    matrices = [p for p in parameters.values() if p.ndim >= 3]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=settings.learning_rate, fused=True,
    )  # fmt: skip
    plans = [orders(case, seed) for seed in range(len(models))]
    steps = len(plans[0])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(factor, steps=steps))

    def loss_of(own: Any, held: Any, batch: Any) -> Tensor:
        return functional_call(base, (own, held), (), batch)["loss"]

    every = torch.vmap(loss_of, in_dims=(0, 0, 0), randomness="different")
    gradients = list(parameters.values())
    for step in range(steps):
        batch = stacked_batch(rows, [plan[step] for plan in plans])
        losses = every(parameters, buffers, batch)
        losses.sum().backward()
        clip_each(gradients, settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.tolist()
    with torch.no_grad():
        for number, model in enumerate(models):
            for name, parameter in model.named_parameters():
                parameter.copy_(parameters[name][number])
            model.eval()
    return models


@torch.no_grad()
def clip_each(parameters: list[Tensor], most: float) -> None:
    """Clip the gradients of each network by its own norm."""
    grads = [p.grad for p in parameters if p.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(1) if g.ndim > 1 else g.square() for g in grads])
    scale = (most / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
    if bool((scale < 1).any()):
        for g in grads:
            g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))


def difference(one: list[PlaitModel], other: list[PlaitModel]) -> float:
    """Largest difference of any weight."""
    return max(
        float((a - b).detach().abs().max())
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x.parameters(), y.parameters(), strict=True)
    )


def fresh(case: Case, dropout: float) -> list[PlaitModel]:
    """K networks."""
    return [model_of(case, seed, dropout) for seed in range(case.networks)]


def arithmetic(case: Case) -> tuple[float, float]:
    """Milliseconds of a step: forward, backward, clipping and optimizer alone; and of making its batch."""
    rows, model = rows_of(case), model_of(case, 0, DROPOUT)
    optimizer = make_optimizer(model, settings_of(case, 0))
    model.train()
    plan = orders(case, 0)

    def timed(run: Callable[[], Any]) -> float:
        run()
        began = time.process_time()
        run()
        return (time.process_time() - began) / len(plan) * 1000

    batches: list[Any] = []

    def collate() -> None:
        batches[:] = [rows.__getitems__(numbers) for numbers in plan]

    def compute() -> None:
        for batch in batches:
            model(**batch)["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    made = timed(collate)
    return timed(compute), made


def sides_of(case: Case, rows: RowBatches) -> dict[str, Callable[[], Any]]:
    """The three ways, each with fresh networks and the dropout of the default recipe."""
    ways = {ONE: by_trainer, PLAIN: by_loop, STACKED: by_stack}
    return {name: partial(_run, way, case, rows) for name, way in ways.items()}


def _run(way: Callable[..., Any], case: Case, rows: RowBatches) -> Any:
    return way(case, fresh(case, DROPOUT), rows)


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__ or "", data=None, options={"--threads": "1", "--rounds": "3", "--cases": "all"})
    torch.set_num_threads(int(given.threads))
    transformers.logging.set_verbosity_error()
    with old_objects_set_aside():  # as compare, the ensemble and the search do
        measure(given)


def measure(given: Any) -> None:
    """All cases."""
    cases = CASES if given.cases == "all" else tuple(CASES[int(i)] for i in given.cases.split(","))
    print(f"{given.threads} threads, {given.rounds} rounds\n")
    head = ["networks", "a step of the Trainer, ms", "plain loop", "stacked", "stacked, of the plain loop",
            "stacked, clock", "difference"]  # fmt: skip
    table(head, [])
    parts = []
    for case in cases:
        rows = rows_of(case)
        exact = difference(by_loop(case, fresh(case, 0.0), rows), by_stack(case, fresh(case, 0.0), rows))
        sides = sides_of(case, rows)
        turns = in_turns(sides, int(given.rounds))
        steps = math.ceil(case.rows / case.batch) * case.epochs * case.networks
        a_step = [1000 * s / steps for s in turns.cpu[ONE]]
        name = f"{case.networks} {case.fusion}, width {case.width}, batch {case.batch}"
        against = [(ONE, PLAIN), (ONE, STACKED), (PLAIN, STACKED)]
        line([
            name, shown(spread_of(a_step)), *[shown(turns.cpu_ratio(*pair)) for pair in against],
            shown(turns.ratio(ONE, STACKED)), f"{exact:.0e}",
        ])  # fmt: skip
        compute, made = arithmetic(case)
        whole = min(a_step)
        parts.append([name, f"{whole:.1f}", f"{compute / whole:.0%}", f"{made / whole:.0%}"])
    print()
    table(["network", "a step, ms", "forward, backward, clipping, optimizer", "collate"], parts)


def shown(numbers: dict[str, float]) -> str:
    """Median and range."""
    return f"{numbers['median']:.2f} ({numbers['low']:.2f} to {numbers['high']:.2f})"


if __name__ == "__main__":
    main()
