"""A prepared table without encoders: two modalities of eight numbers each, with a label whose rule we chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from plait.comparison.archive import Archive
from plait.comparison.method_outcome import Outcome
from plait.comparison.plan import Configuration, Method, choose_methods
from plait.comparison.runner import Runner
from plait.data.items import Items, Rows
from plait.data.schema import Modality
from plait.data.table import read_table
from plait.inputs.feature_store import FeatureSet
from plait.inputs.prepare import Inputs, Prepared
from plait.settings import EncoderSettings, FusionSettings, RunSettings, TaskSettings, TrainSettings
from plait.tasks import TASKS
from plait.training import Plan

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
TWO = [Configuration(0.02, 0.0, 16), Configuration(0.005, 0.1, 8)]


def planted_plan(
    rule: Rule, *, rows: int = 240, epochs: int = 10, flip_test: bool = False, task_name: str = "classification"
) -> tuple[Plan, np.ndarray]:
    """A plan whose label is ``rule`` of one bit of each modality, and its test positions."""
    rng = np.random.default_rng(0)
    a, b = np.arange(rows) % 2 == 1, np.arange(rows) // 2 % 2 == 1
    label = rule(a, b).astype(np.int64)
    names = ("left", "right")
    split = np.array(["train", "train", "val", "test"])[np.arange(rows) // 4 % 4]
    test = np.flatnonzero(split == "test")
    if flip_test:
        label[test] = 1 - label[test]
    values: list[Any] = [str(y) for y in label]
    if task_name == "regression":
        values = [10.0 + 3.0 * y + e for y, e in zip(label, rng.normal(0, 0.1, rows), strict=True)]
    if task_name == "multilabel":
        values = [("one",) * int(y) + ("two",) * int(x) for x, y in zip(a, label, strict=True)]
    table = read_table({**{n: [f"{n} {i}" for i in range(rows)] for n in names}, "label": label.tolist()})
    modalities = tuple(Modality(n, "text", (n,)) for n in names)
    items = {
        m.name: Items(m, [f"{m.name}{i}" for i in range(rows)], table.column(m.name), np.arange(rows))
        for m in modalities
    }
    sources: dict[str, Any] = {}
    for name, bit in zip(names, (a, b), strict=True):
        vectors = rng.normal(0, 0.3, (rows, 8))
        vectors[:, 0] += np.where(bit, 2.0, -2.0)
        sources[name] = FeatureSet.from_arrays(vectors)
    encoder = SimpleNamespace(vector_dim=8, token_dim=None, fingerprint="planted", reference="planted")
    inputs = Inputs(modalities, {}, dict.fromkeys(names, encoder), {}, {}, False, 1)  # type: ignore[arg-type,misc]
    settings = RunSettings(
        encoders=EncoderSettings(),
        fusion=FusionSettings("concat", 16, 0.0),
        task=TaskSettings(task_name, "label"),
        train=TrainSettings(
            epochs=epochs, batch_size=16, optimizer="adamw", learning_rate=0.02, weight_decay=0.0, schedule="cosine",
            warmup=0.05, patience=0, modality_dropout=0.0, alignment=1.0,
        ),
    )  # fmt: skip
    task = TASKS.get(task_name)
    labels = task.fit([values[i] for i in np.flatnonzero(split == "train")])
    plan = Plan(
        settings, task, labels, inputs, Prepared(Rows(table, items), sources), task.encode(values, labels),
        np.flatnonzero(split == "train"), np.flatnonzero(split == "val"), np.arange(rows), False,
    )  # fmt: skip
    return plan, test


def run_methods(
    plan: Plan,
    test: np.ndarray,
    folder: Path,
    fusion: str,
    *,
    seeds: int = 2,
    configurations: list[Configuration] | None = None,
    progress: Any = None,
) -> tuple[list[Outcome], Runner]:
    """Run the named fusions and both modalities alone."""
    methods: list[Method] = choose_methods(plan.task.name, ["left", "right"], fusion)
    runner = Runner(plan, test, configurations or TWO, seeds, Archive(folder), "table", progress)
    return runner.run(methods), runner


def xor(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Neither modality alone, nor any sum of one term for each, tells more than chance."""
    return a ^ b


def left_only(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One modality says it all."""
    return a
