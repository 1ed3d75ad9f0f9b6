"""Tuning: exactly the intended weights get gradients, and what is frozen rests in evaluation mode."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from plait.encoders import Encoder, build_encoder, load_encoder, set_tuning


def moved(encoder: Encoder, inputs: dict[str, torch.Tensor]) -> set[str]:
    """Names of the weights that a backward pass reaches."""
    encoder.train()
    encoder.zero_grad()
    out = encoder(**inputs)
    ((out.vector_BD**2).sum() + (out.tokens_BTD**3).sum()).backward()
    return {name for name, p in encoder.named_parameters() if p.grad is not None}


def test_bert(folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    encoder, processor, items = load("hf:bert", folders, tmp_path)
    inputs = processor.process(items)
    assert not any(p.requires_grad for p in encoder.parameters())
    encoder.train()
    assert not any(module.training for module in encoder.model.modules())  # no dropout in a frozen encoder
    set_tuning(encoder, "last_n", 1)
    names = moved(encoder, inputs)
    assert names == {n for n, _ in encoder.named_parameters() if ".layer.2." in n}
    assert not encoder.model.encoder.layer[0].training and encoder.model.encoder.layer[2].attention.training
    set_tuning(encoder, "full")
    assert moved(encoder, inputs) == {n for n, _ in encoder.named_parameters()}
    with pytest.raises(ValueError, match="3 blocks"):
        set_tuning(encoder, "last_n", 4)
    with pytest.raises(ValueError, match="expected one of frozen"):
        set_tuning(encoder, "some")


def test_final_norm_learns_with_the_last_blocks(folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    encoder, processor, items = load("hf:vit", folders, tmp_path)
    set_tuning(encoder, "last_n", 1)
    names = moved(encoder, processor.process(items))
    assert {"model.layernorm.weight", "model.layernorm.bias"} <= names
    assert all("layers.2." in n or "layernorm" in n for n in names) and len(names) > 10


def test_cnn_keeps_frozen_statistics(folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    encoder, processor, items = load("timm:test_resnet", folders, tmp_path)
    set_tuning(encoder, "last_n", 1)
    before = {k: v.clone() for k, v in encoder.state_dict().items() if "running" in k}
    names = moved(encoder, processor.process(items))
    assert names and all(".layer4." in n for n in names)
    changed = {k for k, v in encoder.state_dict().items() if k in before and not torch.equal(v, before[k])}
    assert changed and all(".layer4." in k for k in changed)


@pytest.mark.parametrize("case", ["hf:bert", "timm:test_vit", "timm:test_resnet", "scratch:text"])
def test_lora(case: str, folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    encoder, processor, items = load(case, folders, tmp_path)
    inputs = processor.process(items)
    before = encoder(**inputs).vector_BD
    set_tuning(encoder, "lora")
    assert torch.allclose(encoder(**inputs).vector_BD, before, atol=1e-5)  # zero at the start
    names = moved(encoder, inputs)
    assert names and names == {n for n, _ in encoder.named_parameters() if "lora_" in n}
    rebuilt = build_encoder(encoder.config())
    rebuilt.load_state_dict(encoder.state_dict())
    encoder.eval()
    assert torch.equal(rebuilt(**inputs).vector_BD, encoder(**inputs).vector_BD)
    with pytest.raises(ValueError, match="carries LoRA"):
        set_tuning(encoder, "full")


def test_lora_without_peft_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install plait\[peft\]"):
        set_tuning(load_encoder("scratch:text", "text")[0], "lora")
