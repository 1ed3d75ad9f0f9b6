"""Eight bits: rounding within half a step, which products are rounded, and an answer that is near or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_architectures import ARCHITECTURES

from plait.encoders import Encoder, engine, int8, load_encoder
from plait.encoders.base import Encoded
from plait.weights.quiet import quiet_transformers

pytest.importorskip("openvino", reason="extra openvino")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*"), pytest.mark.usefixtures("fresh_engine"),
]  # fmt: skip


@pytest.fixture
def bert(tmp_path: Path) -> tuple[Encoder, Any]:
    with quiet_transformers():
        return load_encoder(f"hf:{ARCHITECTURES['bert'].save(tmp_path)}", "text", max_length=24)


@pytest.mark.parametrize("axis", [0, 1])
def test_rounded_within_half_a_step(axis: int) -> None:
    matrix = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    matrix[(slice(None), 3) if axis == 0 else 3] = 0
    whole, scale = int8.quantise(matrix, axis)
    assert whole.dtype == np.int8 and scale.shape == ((1, 9) if axis == 0 else (7, 1))
    assert (np.abs(whole * scale - matrix) <= scale / 2 + 1e-7).all()
    assert (np.abs(whole).max(axis=axis) == 127).sum() == (8 if axis == 0 else 6)  # every scale is used up


def test_near_pytorch_and_the_same_whatever_stands_beside(
    bert: tuple[Encoder, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "SMALLEST", 1)  # the matrices of a tiny BERT
    encoder, processor = bert
    inputs = processor.process(["two brown dogs run over the grass", "a man", "blue", "green grass the man"])
    forward = engine.OpenVinoForward(encoder, True, "int8")
    with torch.inference_mode():
        wanted, got, again = encoder(**inputs), forward(inputs), forward(inputs)
        alone = forward({name: value[:1] for name, value in inputs.items()})
    assert torch.equal(got.vector_BD, again.vector_BD) and torch.equal(got.mask_BT, wanted.mask_BT)
    assert torch.allclose(alone.vector_BD[0], got.vector_BD[0], atol=1e-5)
    apart = (got.vector_BD - wanted.vector_BD).norm(dim=1) / wanted.vector_BD.norm(dim=1)
    assert 1e-6 < float(apart.max()) < 0.05  # rounded, and near
    by_float = engine.OpenVinoForward(encoder, True)(inputs)  # held apart from what is compiled in float32
    assert torch.allclose(by_float.vector_BD, wanted.vector_BD, atol=1e-5) and len(engine.compiled_networks) == 2


def test_nothing_large_is_refused_for_eight_bits_alone(
    bert: tuple[Encoder, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "SMALLEST", 10**6)
    encoder, processor = bert
    with pytest.raises(engine.EngineError, match="no large matrices"):
        engine.OpenVinoForward(encoder, False, "int8")(processor.process(["a man"] * 3))
    assert "no large" in engine.refusal(encoder, False, "int8") and engine.refusal(encoder, False) is None


class Lopsided(torch.nn.Module):
    """Every output has one huge weight, of an input that is always 0: beside it eight bits lose the others."""

    fingerprint, reference, vector_dim = "lopsided", "lopsided", 8

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = torch.nn.Linear(256, 8)
        self.register_buffer("open", torch.ones(256))
        self.open[0] = 0
        with torch.no_grad():
            self.model.weight[:, 0] = 1e4

    def forward(self, values: torch.Tensor) -> Encoded:
        return Encoded(self.model(values.mean(1) * self.open), None, None)


def test_an_answer_too_far_off_is_refused() -> None:
    with pytest.raises(engine.EngineError, match="2e-01 is allowed"):
        engine.OpenVinoForward(Lopsided().eval(), False, "int8")({"values": torch.randn(4, 5, 256)})
