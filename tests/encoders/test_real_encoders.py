"""Runs with the real pretrained encoders: frozen and tuned in each way, and logs for TensorBoard."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import plait
from plait.data.synthetic import make_synthetic
from plait.inputs.inputs import load_inputs
from plait.settings import EncoderSettings
from plait.weights import locate

WEIGHTS = {"text": "minilm", "image": "efficientnet-lite0"}


def have_weights() -> bool:
    try:
        return all(locate(name) for name in WEIGHTS.values())
    except ValueError:
        return False


pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not have_weights(), reason="plait weights fetch minilm efficientnet-lite0"),
]
SMALL = ["encoders.image_size=32", "encoders.max_length=16", "train.threads=1", "train.baselines=false"]


def fit(*changes: str, epochs: int = 1, rows: int = 40, output: Path | None = None) -> plait.Plait:
    table = make_synthetic("dead", rows, image_size=32)
    return plait.fit(
        table, "label", text="text", image="image", split="split", ignore=["number", "id"], epochs=epochs,
        output=output, set=[*SMALL, *changes],
    )  # fmt: skip


@pytest.mark.parametrize("tuning", ["last_n", "lora", "full"])
def test_tuning_moves_the_encoders_it_should_and_is_saved(tuning: str, tmp_path: Path) -> None:
    if tuning == "lora":
        pytest.importorskip("peft", reason="extra peft")
    fitted = fit(f"encoders.tuning={tuning}", "encoders.last_n=1", "train.encoder_learning_rate=0.001")
    settings = EncoderSettings(image_size=32, max_length=16, tuning=tuning, last_n=1)
    torch.manual_seed(0)
    inputs = load_inputs(fitted.inputs.modalities, settings, with_tokens=False, max_pixels=10**6)
    names = fitted.model.config.modality_names
    for number, name in enumerate(names):
        before = dict(inputs.live[name].named_parameters())
        after = dict(fitted.model.encoders[str(number)].named_parameters())
        moved = {n for n, p in after.items() if not torch.equal(p.detach().cpu(), before[n].detach())}
        learns = {n for n, p in before.items() if p.requires_grad}
        assert moved and moved <= learns, f"{name}: {sorted(moved - learns)[:3]}"
        if tuning == "lora":
            assert all("lora_" in n for n in moved)
    again = plait.load(fitted.save(tmp_path / "model"))
    table = make_synthetic("dead", 8, seed=1, image_size=32)
    assert np.array_equal(fitted.predict_proba(table), again.predict_proba(table))


def test_frozen_encoders_read_a_word_that_decides() -> None:
    fitted = fit(epochs=8, rows=160)
    assert fitted.report["evaluation"]["metrics"]["accuracy"]["value"] >= 0.9


def test_tensorboard_logs_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    fit("train.log_to=[tensorboard]", epochs=2, output=tmp_path / "model")
    files = [p for p in tmp_path.rglob("events.out.tfevents*") if os.path.getsize(p) > 0]
    assert files, sorted(p.name for p in tmp_path.rglob("*"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = set()
    for file in files:
        log = EventAccumulator(str(file))
        log.Reload()
        tags |= set(log.Tags()["scalars"])
    assert any("loss" in tag for tag in tags), tags
    assert any("accuracy" in tag for tag in tags), f"validation numbers are not logged: {tags}"
