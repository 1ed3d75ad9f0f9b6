"""Training with gradient checkpointing ends where training without it does, stopped in between or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import plait
from fixtures.lazy import lazy
from fixtures.training import PowerCut, PowerCutError, largest_difference
from plait.encoders.base import Encoded, Encoder
from plait.encoders.scratch import ScratchImageEncoder, ScratchTextEncoder
from plait.inputs.dataset import RowBatches, TensorSource
from plait.settings import RunSettings, TrainSettings, set_values
from plait.tasks import TASKS

deciding = lazy("plait.api.working_folder", "deciding")
check_checkpointing = lazy("plait.training.recomputed_activations", "check_checkpointing")
SETTINGS = TrainSettings(
    epochs=3, batch_size=4, optimizer="adamw", learning_rate=0.01, weight_decay=0.0, schedule="constant", warmup=0.0,
    patience=0, modality_dropout=0.0, alignment=0.0,
)  # fmt: skip
QUICK = ["encoders.text=scratch:text", "fusion.width=8", "train.baselines=false", "judge.missing_rows=0"]
TEXTS = {"text": [f"row {i} {'good' if i % 2 else 'bad'}" for i in range(40)], "label": ["yes", "no"] * 20}


def make_model() -> Any:
    from plait.model import PlaitConfig, PlaitModel

    torch.manual_seed(0)
    encoders = {"note": ScratchTextEncoder(50, 8, 8, 2), "photo": ScratchImageEncoder(32)}
    modalities = [
        {"name": n, "kind": k, "vector_dim": e.vector_dim, "token_dim": e.token_dim, "encoder": e.config()}
        for (n, e), k in zip(encoders.items(), ("text", "image"), strict=True)
    ]
    fusion = {"name": "concat", "width": 8, "dropout": 0.1, "options": {}}
    return PlaitModel.from_encoders(PlaitConfig(modalities=modalities, fusion=fusion, num_outputs=2), encoders)


def make_rows() -> RowBatches:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 50, (12, 5), generator=generator)
    sources = {
        "note": TensorSource({"input_ids": ids, "attention_mask": torch.ones_like(ids)}),
        "photo": TensorSource({"pixel_values": torch.randn(12, 3, 32, 32, generator=generator)}),
    }
    return RowBatches(sources, np.arange(12)[:, None].repeat(2, 1), np.arange(12) % 2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_ends_where_it_does_without(precision: str, tmp_path: Path) -> None:
    from plait.training.trainer import train_model

    settings, models, losses = replace(SETTINGS, precision=precision), [], []
    for is_on in (False, True):
        models.append(make_model())
        history = train_model(
            models[-1], make_rows(), replace(settings, gradient_checkpointing=is_on), tmp_path / str(is_on)
        )
        losses.append([epoch["train_loss"] for epoch in history.epochs])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert largest_difference(*models) < 1e-6


def test_a_stopped_run_goes_on_with_it(tmp_path: Path) -> None:
    from plait.training.trainer import train_model

    straight, resumed = make_model(), make_model()
    train_model(straight, make_rows(), SETTINGS, tmp_path / "straight")
    with pytest.raises(PowerCutError):
        train_model(resumed, make_rows(), SETTINGS, tmp_path / "cut", progress=PowerCut())
    again, settings = make_model(), replace(SETTINGS, gradient_checkpointing=True)
    history = train_model(again, make_rows(), settings, tmp_path / "cut", resume=True)
    assert history.resumed_from == 1 and largest_difference(straight, again) < 1e-6


def test_it_is_no_other_run_and_anything_else_is() -> None:
    given = RunSettings()
    assert deciding(set_values(given, ["train.gradient_checkpointing=true"])) == deciding(given)
    assert deciding(set_values(given, ["train.seed=1"])) != deciding(given)


def test_a_fit_says_where_it_helps_and_where_it_changes_nothing() -> None:
    more = [*QUICK, "train.gradient_checkpointing=true"]
    trained = plait.fit(TEXTS, "label", epochs=1, preset="single", set=more)
    notes = trained.report["evaluation"]["notes"]
    assert "gradient checkpointing: blocks are computed again on the way back for text" in notes
    assert trained.settings.train.gradient_checkpointing
    numbers = {"size": list(range(40)), "label": ["a", "b"] * 20}
    frozen = plait.fit(numbers, "label", numeric="size", epochs=1, preset="single", set=more)
    expected = "train.gradient_checkpointing changes nothing here: no encoder is trained"
    assert expected in frozen.report["evaluation"]["notes"]


def test_encoders_without_blocks_are_refused_unless_another_has_some() -> None:
    class Line(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "line", "reference": "ours:line"})
            self.model = nn.Linear(4, 4)

        def forward(self, values: torch.Tensor) -> Encoded:
            return Encoded(self.model(values), None, None)

    settings, task = set_values(RunSettings(), ["train.gradient_checkpointing=true"]), TASKS.get("classification")
    alone: Any = SimpleNamespace(live={"signal": Line()})
    with pytest.raises(ValueError, match=r"none are found in the encoder of signal \(ours:line\); leave it out"):
        check_checkpointing(settings, task, alone)
    check_checkpointing(RunSettings(), task, alone)
    check_checkpointing(settings, task, SimpleNamespace(live={**alone.live, "text": ScratchTextEncoder(50, 8, 8, 2)}))
