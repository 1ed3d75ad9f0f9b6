"""bfloat16 under OpenVINO: near float32 where the processor multiplies so, refused where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_architectures import ARCHITECTURES

from plait.encoders import engine, load_encoder
from plait.weights.quiet import quiet_transformers

pytest.importorskip("openvino", reason="extra openvino")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*"), pytest.mark.usefixtures("fresh_engine"),
]  # fmt: skip


def test_near_pytorch_and_apart_from_float32(tmp_path: Path) -> None:
    with quiet_transformers():
        encoder, processor = load_encoder(f"hf:{ARCHITECTURES['bert'].save(tmp_path)}", "text", max_length=24)
    reason = engine.refusal(encoder, True, "bfloat16")
    if not engine.multiplies_bfloat16():
        assert reason == engine.NO_BFLOAT16 and engine.refusal(encoder, True) is None
        return
    assert reason is None
    inputs = processor.process(["two brown dogs run over the grass", "a man", "blue"])
    with torch.inference_mode():
        wanted, got = encoder(**inputs), engine.OpenVinoForward(encoder, True, "bfloat16")(inputs)
        exact = engine.OpenVinoForward(encoder, True)(inputs)  # held apart from what is compiled in bfloat16
    apart = (got.vector_BD - wanted.vector_BD).norm(dim=1) / wanted.vector_BD.norm(dim=1)
    assert got.vector_BD.dtype == torch.float32 and torch.equal(got.mask_BT, wanted.mask_BT)
    assert 1e-5 < float(apart.max()) < 0.05  # rounded to eight binary digits, and near
    assert torch.allclose(exact.vector_BD, wanted.vector_BD, atol=1e-5) and len(engine.compiled_networks) == 2
