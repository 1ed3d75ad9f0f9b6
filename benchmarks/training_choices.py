"""What training should do by default: each option against the default, split by split, on rows that choose nothing.

Test rows are never touched. The training and validation rows of each table are dealt anew for every seed, groups whole:
60 % train, 20 % choose the epoch, and the last 20 % are what the numbers below are of; with ``--labels 60`` so many
rows, drawn from those of the seed, train and choose, three to one. Differences are paired by seed (same rows, same
initial weights); the interval is that of Student's t over the seeds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from scipy import stats

from ensemble import TABLES as MIXED
from measure import arguments, quiet, table
from plait.api.opening import open_run
from plait.api.preparing import PreparedRun, prepare_run
from plait.encoders.base import Encoder
from plait.encoders.load import build_encoder
from plait.encoders.numbers import PiecewiseNumbers
from plait.encoders.tabular import TabularEncoder
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches
from plait.settings import DataOptions, RunSettings, set_values
from plait.training import Plan, needs_tokens
from plait.training.fit import fit_model
from plait.training.history import History
from plait.training.recipes import Facts, resolve

OPTIONS: dict[str, list[str]] = {
    "default": [],
    "first of equal epochs": [],
    "log loss chooses": ["task.select_by=log_loss"],
    "features scaled": ["fusion.scaling=features"],
    "features then rows": ["fusion.scaling=both"],
    "average .98": ["train.ema=0.98"],
    "features + average": ["fusion.scaling=features", "train.ema=0.98"],
    "features + average + log loss": ["fusion.scaling=features", "train.ema=0.98", "task.select_by=log_loss"],
    "label smoothing .1": ["task.label_smoothing=0.1"],
    "focal 2": ["task.focal=2"],
    "class balance .99": ["task.class_balance=0.99"],
    "mixup .2": ["train.mixup=0.2"],
    "dropout .5": ["fusion.dropout=0.5"],
    "width 64": ["fusion.width=64"],
    "weight decay .1": ["train.weight_decay=0.1"],
    "rate 3e-4": ["train.learning_rate=3e-4"],
    "piecewise": ["encoders.numbers=piecewise"],
    "periodic": ["encoders.numbers=periodic"],
    "compact": ["encoders.categories=compact"],
    "periodic + compact": ["encoders.numbers=periodic", "encoders.categories=compact"],
    "members": ["task.head=members"],
    "members + width 64": ["task.head=members", "fusion.width=64"],
    "members + width 64 + periodic + compact": [
        "task.head=members",
        "fusion.width=64",
        "encoders.numbers=periodic",
        "encoders.categories=compact",
    ],
    "dropout .1": ["fusion.dropout=0.1"],
}


def houses_numbers(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Price of a house from its numbers alone."""
    source, how = MIXED["houses"](folder)
    return source, {**how, "transform": "log", "ignore": ["bathroom", "bedroom", "frontal", "kitchen"]}


def planted(folder: Path) -> tuple[Any, dict[str, Any]]:
    """A wave of one number times a step of another, and a product of two, with noise: R2 of .9 at best."""
    draw = np.random.default_rng(14)
    x = draw.normal(size=(800, 6))
    clean = np.sin(2.5 * x[:, 0]) * np.where(x[:, 1] > 0.3, 1.0, -0.5) + 0.7 * x[:, 2] * x[:, 3] + 0.4 * x[:, 4]
    y = clean + draw.normal(size=800) * clean.std() / 3
    columns = {f"x{i}": [float(v) for v in x[:, i]] for i in range(6)}
    return {**columns, "y": [float(v) for v in y]}, {"target": "y", "task": "regression"}


TABLES = {**MIXED, "houses-numbers": houses_numbers, "planted": planted}


def prepared(name: str, folder: Path, categories: str | None = None) -> PreparedRun:
    """A table, encoded once."""
    source, how = TABLES[name](folder)
    return prepared_table(source, how, categories)


def prepared_table(source: Any, how: dict[str, Any], categories: str | None = None) -> PreparedRun:
    """Any table with its options as for ``plait.fit``, encoded once."""
    how = dict(how)
    task = how.pop("task", None)
    transform = how.pop("transform", None)
    settings = how.pop("set", [])
    given = {
        **DataOptions(**how).given(),
        "task.name": task,
        "task.transform": transform,
        "encoders.categories": categories,
    }
    opened = open_run(source, given, RunSettings(), settings, annotations=None)
    return prepare_run(opened, with_tokens=needs_tokens(opened.settings), progress=quiet)


def dealt(plan: Plan, seed: int, labels: int = 0) -> tuple[Plan, np.ndarray]:
    """The plan with rows dealt anew, and the rows that are evaluated; of the others so many, 0: all."""
    rows = np.sort(np.concatenate([plan.train, plan.val]))
    groups = np.unique(plan.group_N[rows], return_inverse=True)[1]
    place = np.random.default_rng([seed, 14]).permutation(groups.max() + 1) / (groups.max() + 1)
    share = place[groups]
    settings = replace(plan.settings, train=replace(plan.settings.train, seed=seed))
    parts = [rows[share < 0.6], rows[(share >= 0.6) & (share < 0.8)]]
    if labels:
        draw = np.random.default_rng([seed, 15])
        parts = [np.sort(draw.permutation(p)[:n]) for p, n in zip(parts, (labels * 3 // 4, labels // 4), strict=True)]
    return replace(plan, settings=settings, train=parts[0], val=parts[1]), rows[share >= 0.8]


def with_options(plan: Plan, assignments: list[str]) -> Plan:
    """The plan under further settings, open ones filled as for its number of rows."""
    kinds = tuple(m.kind for m in plan.inputs.modalities)
    facts = Facts(plan.task.name, kinds, len(plan.train))
    start = RunSettings(task=replace(RunSettings().task, transform=plan.settings.task.transform))
    settings = resolve(set_values(start, [*assignments, f"train.seed={plan.settings.train.seed}"]), facts)
    task = replace(plan.task, selects=settings.task.select_by)
    return replace(plan, settings=replace(settings, data=plan.settings.data), task=task)


def rebuilt(plan: Plan, name: str, encoder: Encoder) -> Encoder:
    """A fresh encoder of the plan's kind; that of numbers as the settings say, its bins from the training rows."""
    config = encoder.config()
    if not isinstance(encoder, TabularEncoder):
        return build_encoder(config)
    made = build_encoder(
        {**config, "numbers": plan.settings.encoders.numbers, "categories": plan.settings.encoders.categories}
    )
    if isinstance(made, TabularEncoder) and isinstance(made.numbers, PiecewiseNumbers):
        read = plan.prepared.sources[name].take(
            plan.prepared.rows.index_NM[plan.train, [m.name for m in plan.inputs.modalities].index(name)]
        )
        made.numbers.fit(read["numeric_BF"].numpy(), read["missing_BF"].numpy())
    return made


def one(plan: Plan, judged: np.ndarray) -> dict[str, float]:
    """Train, and measure the rows that chose nothing."""
    names = [m.name for m in plan.inputs.modalities]
    torch.manual_seed(plan.settings.train.seed)
    for name, encoder in plan.inputs.live.items():
        if any(True for _ in encoder.parameters()):
            plan.inputs.live[name] = rebuilt(plan, name, encoder)
    with tempfile.TemporaryDirectory() as folder:
        model, history = fit_model(plan, names, Path(folder) / "run", checkpoints=False)
    index = plan.prepared.rows.index_NM[judged]
    outputs = plan.task.activate(predict_logits(model, RowBatches(plan.prepared.sources, index)), plan.labels)
    truth = plan.task.natural(plan.target[judged], plan.labels)
    found = {k: float(v) for k, v in plan.task.metrics(truth, outputs).items() if isinstance(v, int | float)}
    if plan.task.output_kind == "number":
        found["loss"] = found["rmse"] / float(np.std(plan.task.natural(plan.target[plan.train], plan.labels)))
    else:
        found["loss"] = found["log_loss"]
    kept = {"loss": found["loss"], "metric": found[plan.task.primary], "epoch": history.best_epoch}
    return kept | ({"mae": found["mae"]} if plan.task.output_kind == "number" else {})


def difference(ours: list[float], theirs: list[float]) -> str:
    """Mean paired difference with its 95 % interval."""
    gaps = np.subtract(ours, theirs)
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return f"{gaps.mean():+.3f} [{gaps.mean() - half:+.3f}, {gaps.mean() + half:+.3f}]"


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=9,
        options={"--only": ",".join(TABLES), "--options": ",".join(OPTIONS), "--columns": "", "--labels": "0"},
    )  # fmt: skip
    chosen = ["default", *(o for o in given.options.split(",") if o != "default")]
    for name in given.only.split(","):
        plan = prepared(name, given.data).plan
        shared = "compact" in given.options and name != "planted"
        others = {"encoders.categories=compact": prepared(name, given.data, "compact").plan if shared else plan}
        found: dict[str, list[dict[str, Any]]] = {option: [] for option in chosen}
        for seed in range(given.seeds):
            for option in chosen:
                suited = next((others[o] for o in OPTIONS[option] if o in others), plan)
                part, judged = dealt(suited, seed, int(given.labels))
                if plan.task.output_kind == "number" and any(
                    o.startswith("task.") and not o.startswith("task.head") for o in OPTIONS[option]
                ):
                    continue  # losses and selectors of classes
                blind = patch.object(History, "best_loss", None) if option == "first of equal epochs" else nullcontext()
                with blind:
                    found[option].append(one(with_options(part, OPTIONS[option]), judged))
                line = {"table": name, "option": option, "seed": seed, **found[option][-1]}
                print(json.dumps(line), file=sys.stderr, flush=True)
        loss = "rmse / std" if plan.task.output_kind == "number" else "log loss"
        print(f"\n{name}, {given.seeds} seeds; loss {loss}\n")
        body = []
        for option, runs in found.items():
            if not runs:
                continue
            base = found["default"]
            body.append([
                option, *(f"{np.mean([r[k] for r in runs]):.3f}" for k in ("loss", "metric")),
                *("" if option == "default" else difference([r[k] for r in runs], [b[k] for b in base])
                  for k in ("loss", "metric")),
                f"{np.mean([r['epoch'] for r in runs]):.1f}",
            ])  # fmt: skip
        table(["option", "loss", plan.task.primary, "difference in loss", "in metric", "epoch"], body)


if __name__ == "__main__":
    main()
