"""bfloat16 in training: only inside the large networks, only while training, and weights stay float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import plait
from fixtures.lazy import lazy
from plait.encoders.scratch import ScratchTextEncoder
from plait.encoders.tabular import TabularEncoder
from plait.inputs.dataset import RowBatches, TensorSource
from plait.settings import TrainSettings

PlaitModel = lazy("plait.model", "PlaitModel")

SETTINGS = TrainSettings(
    epochs=2, batch_size=4, optimizer="adamw", learning_rate=0.01, weight_decay=0.0, schedule="constant", warmup=0.0,
    patience=0, modality_dropout=0.0, alignment=0.0,
)  # fmt: skip


def make_model() -> PlaitModel:
    from plait.model import PlaitConfig

    torch.manual_seed(0)
    text, table = ScratchTextEncoder(50, 8, 8, 1), TabularEncoder(2, [], 8)
    modalities = [
        {"name": "note", "kind": "text", "vector_dim": 8, "token_dim": 8, "encoder": text.config()},
        {"name": "tabular", "kind": "tabular", "vector_dim": 8, "token_dim": 8, "encoder": table.config()},
    ]
    fusion = {"name": "concat", "width": 8, "dropout": 0.0, "options": {}}
    config = PlaitConfig(modalities=modalities, fusion=fusion, num_outputs=2)
    return PlaitModel.from_encoders(config, {"note": text, "tabular": table})


def make_rows() -> RowBatches:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 50, (12, 5), generator=generator)
    sources = {
        "note": TensorSource({"input_ids": ids, "attention_mask": torch.ones_like(ids)}),
        "tabular": TensorSource(
            {
                "numeric_BF": torch.randn(12, 2, generator=generator),
                "missing_BF": torch.zeros(12, 2),
                "categorical_BK": torch.zeros(12, 0, dtype=torch.long),
            }  # fmt: skip
        ),
    }
    return RowBatches(sources, np.arange(12)[:, None].repeat(2, 1), np.arange(12) % 2)


def types_inside(model: PlaitModel, batch: dict[str, Any]) -> dict[str, set[torch.dtype]]:
    """Types that the linear layers of each part put out."""
    found: dict[str, set[torch.dtype]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            part = ".".join(name.split(".")[:2]) if name.startswith("encoders") else name.split(".")[0]
            seen = found.setdefault(part, set())
            hooks.append(module.register_forward_hook(lambda m, i, o, seen=seen: seen.add(o.dtype)))
    model(**batch)
    for hook in hooks:
        hook.remove()
    return found


def test_only_large_networks_and_only_in_training() -> None:
    model, batch = make_model(), make_rows().__getitems__(list(range(12)))
    batch = {k: batch[k] for k in ("inputs", "present", "target")}
    assert {t for seen in types_inside(model.train(), batch).values() for t in seen} == {torch.float32}
    model.train_in(torch.bfloat16)
    inside = types_inside(model.train(), batch)
    assert torch.bfloat16 in inside.pop("encoders.0")
    assert inside.keys() >= {"encoders.1", "head"}
    assert {t for seen in inside.values() for t in seen} == {torch.float32}
    assert model.encode(batch["inputs"])[0].vector_BD.dtype == torch.float32
    assert {t for seen in types_inside(model.eval(), batch).values() for t in seen} == {torch.float32}


def test_training_in_bfloat16_is_near_and_not_the_same(tmp_path: Path) -> None:
    from plait.training.trainer import train_model

    losses, models = {}, {}
    for precision in ("float32", "bfloat16"):
        models[precision] = make_model()
        history = train_model(
            models[precision], make_rows(), replace(SETTINGS, precision=precision), tmp_path / precision
        )
        losses[precision] = [e["train_loss"] for e in history.epochs]
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert {p.dtype for p in models["bfloat16"].parameters()} == {torch.float32}


def test_it_is_said_where_it_changes_nothing() -> None:
    rows = {"size": list(range(40)), "label": ["a", "b"] * 20}
    fitted = plait.fit(rows, "label", numeric="size", epochs=1, set=["train.precision=bfloat16"])
    assert (
        "train.precision=bfloat16 changes nothing here: no encoder is trained" in fitted.report["evaluation"]["notes"]
    )
