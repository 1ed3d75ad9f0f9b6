"""Every encoder: the right tokens and vector.

Padding that does not matter, a rebuild that is bit-equal, quiet loading.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from plait.encoders import TabularEncoder, build_encoder, load_encoder

CASES = [
    "hf:bert",
    "hf:clip-text",
    "scratch:text",
    "hf:resnet",
    "hf:convnext",
    "hf:vit",
    "hf:clip-image",
    "scratch:image",
    "timm:test_resnet",
    "timm:test_vit",
    "torchvision:resnet18",
]


@pytest.mark.parametrize("case", CASES)
def test_contract(case: str, folders: dict[str, Path], tmp_path: Path, cache: Path, capfd: Any, load: Any) -> None:
    encoder, processor, items = load(case, folders, tmp_path)
    assert not encoder.training
    with torch.inference_mode():
        batch = encoder(**processor.process(items))
        alone = encoder(**processor.process(items[1:2]))
    assert batch.vector_BD.shape == (3, encoder.vector_dim) and batch.tokens_BTD.shape[2] == encoder.token_dim
    assert batch.mask_BT.dtype == torch.bool and batch.mask_BT.shape == batch.tokens_BTD.shape[:2]
    assert torch.allclose(batch.vector_BD[1], alone.vector_BD[0], atol=1e-5)  # padding and neighbours do not matter
    num_real = int(alone.mask_BT.sum())
    assert torch.allclose(batch.tokens_BTD[1][batch.mask_BT[1]], alone.tokens_BTD[0][:num_real], atol=1e-5)
    assert not torch.allclose(batch.vector_BD[0], batch.vector_BD[1])
    rebuilt = build_encoder(json.loads(json.dumps(encoder.config())))
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {
        k: v.shape for k, v in encoder.state_dict().items()
    }
    save_file(encoder.state_dict(), tmp_path / "state.safetensors")
    rebuilt.load_state_dict(load_file(tmp_path / "state.safetensors"))
    with torch.inference_mode():
        assert torch.equal(rebuilt(**processor.process(items)).vector_BD, batch.vector_BD)
    assert rebuilt.fingerprint == encoder.fingerprint
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("case", ["hf:bert", "hf:clip-text", "hf:vit"])
def test_attention_is_fused(
    case: str, folders: dict[str, Path], tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # decision 37: whether read from a folder or rebuilt from a model's config
    encoder, processor, items = load(case, folders, tmp_path)
    rebuilt = build_encoder(encoder.config())
    fused, calls = torch.nn.functional.scaled_dot_product_attention, []

    def counted(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        return fused(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    for one in (encoder, rebuilt):
        assert one.model.config._attn_implementation == "sdpa"
        with torch.inference_mode():
            one(**processor.process(items))
        assert len(calls) == one.model.config.num_hidden_layers
        calls.clear()


def test_fingerprint_follows_weights_not_place(folders: dict[str, Path], tmp_path: Path) -> None:
    encoder, _ = load_encoder(f"hf:{folders['bert']}", "text")
    before = encoder.fingerprint
    moved = shutil.copytree(folders["bert"], tmp_path / "moved")
    assert load_encoder(f"hf:{moved}", "text")[0].fingerprint == before
    with torch.no_grad():
        next(encoder.parameters())[0, 0] += 1
    assert encoder.fingerprint != before


def test_mean_pooling_and_class_token_by_hand(folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    encoder, processor, items = load("hf:bert", folders, tmp_path)
    out = encoder(**processor.process(items))
    assert torch.allclose(out.vector_BD[1], out.tokens_BTD[1, : int(out.mask_BT[1].sum())].mean(0), atol=1e-6)
    vit, processor, items = load("hf:vit", folders, tmp_path, image_size=32)
    pixels = processor.process(items)
    hidden = vit.model(**pixels).last_hidden_state
    out = vit(**pixels)
    assert torch.equal(out.vector_BD, hidden[:, 0]) and torch.equal(out.tokens_BTD, hidden[:, 1:])
    assert out.tokens_BTD.shape[1] == 16


def test_clip_towers_equal_the_whole_model(folders: dict[str, Path], tmp_path: Path, load: Any) -> None:
    from transformers import CLIPModel

    from plait.weights.quiet import quiet_transformers

    with quiet_transformers():
        whole = CLIPModel.from_pretrained(folders["clip"]).eval()
    image, processor, items = load("hf:clip-image", folders, tmp_path, image_size=32)
    pixels = processor.process(items)
    with torch.inference_mode():
        theirs = whole.vision_model(**pixels).pooler_output
        assert torch.allclose(image(**pixels).vector_BD, theirs, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "densenet121",
        "shufflenet_v2_x0_5",
        "convnext_tiny",
        "regnet_y_400mf",
        "mnasnet0_5",
        "efficientnet_b0",
    ],
)
def test_torchvision_map_is_the_one_before_pooling(name: str, tmp_path: Path, cache: Path) -> None:
    import torchvision

    whole = torchvision.models.get_model(name, weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    encoder, _ = load_encoder(f"torchvision:{name}@{tmp_path / 'w.pth'}", "image")
    seen: list[torch.Tensor] = []
    # the first linear or norm of the head sees the pooled map
    head = next(
        m
        for child in ("fc", "classifier")
        if hasattr(whole, child)
        for m in getattr(whole, child).modules()
        if not list(m.children()) and (isinstance(m, torch.nn.Linear) or "Norm" in type(m).__name__)
    )
    head.register_forward_pre_hook(lambda _, args: seen.append(args[0].flatten(1)))
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        whole(pixels)
        assert torch.allclose(encoder(pixel_values=pixels).vector_BD, seen[0], atol=1e-5)


def test_tabular_by_hand_and_missing_content_ignored() -> None:
    torch.manual_seed(0)
    encoder = TabularEncoder(2, [3], width=8)
    rows = {
        "numeric_BF": torch.tensor([[1.0, 2.0]]),
        "missing_BF": torch.tensor([[0.0, 1.0]]),
        "categorical_BK": torch.tensor([[2]]),
    }
    out = encoder(**rows)
    weight, bias = encoder.numeric_weight_F2D, encoder.numeric_bias_FD
    assert torch.allclose(out.tokens_BTD[0, 0], weight[0, 0] + bias[0])
    assert torch.allclose(out.tokens_BTD[0, 1], weight[1, 1] + bias[1])
    assert torch.equal(out.tokens_BTD[0, 2], encoder.model["categories"][0].weight[2])
    noise = {**rows, "numeric_BF": torch.tensor([[1.0, float("nan")]])}
    assert torch.equal(encoder(**noise).vector_BD, out.vector_BD)
    rebuilt = build_encoder(encoder.config())
    rebuilt.load_state_dict(encoder.state_dict())
    assert torch.equal(rebuilt(**rows).vector_BD, out.vector_BD)


def test_bad_references_say_what_to_type(folders: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    for reference, kind, words in [
        ("minilmm", "text", "[Kk]nown: minilm"),
        ("minilm", "image", "encodes text"),
        ("minilm", "sound", "text, image"),
        ("timm:resnet9999", "image", "timm knows no model"),
        ("torchvision:nope", "image", "try one of"),
        ("scratch:image", "text", "scratch:text"),
        ("minilm", "text", "plait weights fetch minilm"),
        (f"hf:{tmp_path}", "text", "not a saved model"),
        ("timm:resnet18@/no/file.safetensors", "image", "does not exist"),
    ]:
        with pytest.raises(ValueError, match=words):
            load_encoder(reference, kind)
    broken = shutil.copytree(folders["bert"], tmp_path / "broken")
    state = load_file(broken / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if "layer.1." not in k},
        broken / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ValueError, match="does not hold all weights"):
        load_encoder(f"hf:{broken}", "text")


@pytest.mark.real
def test_real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.weights import locate

    try:
        locate("minilm"), locate("efficientnet-lite0")
    except ValueError as error:
        pytest.skip(f"real weights absent: {error}")
    encoder, processor = load_encoder("minilm", "text")
    with torch.inference_mode():
        v = encoder(
            **processor.process(["A man is eating food.", "A man eats something.", "The sky is blue."])
        ).vector_BD
    v = torch.nn.functional.normalize(v)
    assert v[0] @ v[1] > 0.6 > 0.3 > v[0] @ v[2]
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    image, processor = load_encoder("efficientnet-lite0", "image", image_size=96)
    assert processor.mode == "squash" and image.vector_dim == 1280
    assert image(**processor.process([buffer.getvalue()])).tokens_BTD.shape == (1, 9, 1280)


@pytest.mark.parametrize(("name", "mode", "share"), [
    ("vit_base_patch16_siglip_224", "crop", 0.9),  # timm's own settings of SigLIP, and of its square cousins
    ("vit_so400m_patch14_siglip_378.webli", None, None), ("convnext_base.fb_in22k_ft_in1k_384", "squash", 1.0),
    ("dm_nfnet_f0.dm_in1k", "squash_crop", 0.9), ("resnet18.a1_in1k", "crop", 0.95),
])  # fmt: skip
def test_pictures_of_timm_networks_are_cut_as_timm_cuts_them(name: str, mode: str | None, share: float | None) -> None:
    import timm

    from plait.encoders.image import timm_settings

    made, own = timm_settings(name), timm.get_pretrained_cfg(name)
    assert (made["mean"], made["std"], made["crop_pct"]) == (own.mean, own.std, own.crop_pct)
    assert (made.get("mode", "crop") == "crop") == (own.crop_mode == "center")
    assert mode is None or (made.get("mode", "crop"), made["crop_pct"]) == (mode, share)
