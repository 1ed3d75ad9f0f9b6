"""Tiny Hugging Face folders, made from configurations without any download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fixtures.lazy import lazy
from fixtures.media import noise_png
from plait.encoders import Encoder, engine, load_encoder
from plait.weights.quiet import quiet_transformers

hf = lazy("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "car", "blue", "dog"]


def _bert() -> hf.PreTrainedModel:
    return hf.BertModel(
        hf.BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
        )
    )


def _resnet() -> hf.PreTrainedModel:
    return hf.ResNetModel(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"))


def _convnext() -> hf.PreTrainedModel:
    return hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2))


def _vit() -> hf.PreTrainedModel:
    return hf.ViTModel(
        hf.ViTConfig(
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=32,
            patch_size=8,
        )
    )


def _clip() -> hf.PreTrainedModel:
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 20,
        "eos_token_id": 3,
        "bos_token_id": 2,
    }
    vision = {
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))


MODELS = {"bert": _bert, "resnet": _resnet, "convnext": _convnext, "vit": _vit, "clip": _clip}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One saved model of each family, by name."""
    made = {}
    for name, make in MODELS.items():
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        with quiet_transformers():
            make().save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(WORDS))
        hf.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
        made[name] = folder
    return made


def _load(case: str, folders: dict[str, Path], tmp_path: Path, **options: Any) -> tuple[Encoder, Any, list[Any]]:
    """Encoder, processor and three items of one case."""
    import torchvision

    prefix, _, name = case.partition(":")
    kind = "text" if name in ("bert", "clip-text", "text") else "image"
    reference = case
    if prefix == "hf":
        reference = f"hf:{folders[name.split('-')[0]]}"
    elif prefix == "timm":
        import timm

        save_file(timm.create_model(name, pretrained=False).state_dict(), tmp_path / "w.safetensors")
        reference = f"{case}@{tmp_path / 'w.safetensors'}"
    elif prefix == "torchvision":
        torch.save(torchvision.models.get_model(name, weights=None).state_dict(), tmp_path / "w.pth")
        reference = f"{case}@{tmp_path / 'w.pth'}"
    if kind == "image":
        options.setdefault("image_size", None if case == "hf:clip-image" else 64)
    encoder, processor = load_encoder(reference, kind, **options)
    return (
        encoder,
        processor,
        ["red car", "dog", "blue blue dog car"] if kind == "text" else [noise_png(i) for i in range(3)],
    )


Load = Callable[..., tuple[Encoder, Any, list[Any]]]


@pytest.fixture
def load() -> Load:
    """``load(case, folders, tmp_path, **options)`` gives encoder, processor and three items of one case."""
    return _load


@pytest.fixture
def fresh_engine() -> Iterator[None]:
    """Nothing that OpenVINO compiled, refused or said before the test, or in it, is left."""
    engine.forget()
    yield
    engine.forget()
