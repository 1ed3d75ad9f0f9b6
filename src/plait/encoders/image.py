"""Image encoders: timm, torchvision and ``transformers`` networks.

In: ``pixel_values`` [B, 3, H, W]. Out: the spatial map flattened to tokens [B, H*W, C], or the patch tokens
of a vision transformer without its class token, and one vector: the pooled map or the class token. CNNs get
their input in channels-last order, which is faster on CPUs.
"""

from __future__ import annotations

import inspect
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import fill_from_file, new_hf_model, one_tower, read_hf_model

TORCHVISION_FAMILIES = (
    "resnet",
    "resnext",
    "wide_resnet",
    "convnext",
    "efficientnet",
    "vgg",
    "regnet",
    "mobilenet",
    "densenet",
    "mnasnet",
    "shufflenet",
)
HEAD_CHILDREN = ("avgpool", "classifier", "fc", "head")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PIL_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


class TimmEncoder(Encoder):
    """A timm network without its classifier."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        import timm

        options = {"dynamic_img_size": True} if description["resizes"] else {}
        self.model = timm.create_model(description["name"], pretrained=False, num_classes=0, **options).eval()
        self.token_dim = int(self.model.num_features)
        self.vector_dim = int(getattr(self.model, "head_hidden_size", None) or self.model.num_features)

    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W]."""
        features = self.model.forward_features(pixel_values.contiguous(memory_format=torch.channels_last))
        vector_BD = self.model.forward_head(features, pre_logits=True)
        if features.ndim == 4 and getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            tokens_BTD = features.flatten(1, 2)
        elif features.ndim == 4:
            tokens_BTD = features.flatten(2).transpose(1, 2)
        else:
            tokens_BTD = features[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]
        return Encoded(vector_BD, tokens_BTD, _all_real(tokens_BTD))


class TorchvisionEncoder(Encoder):
    """The feature map of a torchvision CNN, cut before its pooling."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        import torchvision

        name = description["name"]
        if not name.startswith(TORCHVISION_FAMILIES) or name not in torchvision.models.list_models():
            raise ValueError(
                f"torchvision:{name} is not a CNN that Plait can cut before its pooling; "
                f"expected one of the families "
                f"{', '.join(TORCHVISION_FAMILIES)}. For other networks type timm:NAME"
            )
        whole = torchvision.models.get_model(name, weights=None)
        parts = OrderedDict((key, part) for key, part in whole.named_children() if key not in HEAD_CHILDREN)
        if name.startswith("densenet"):
            parts["final_relu"] = nn.ReLU()
        self.model = nn.Sequential(parts).eval()
        with torch.inference_mode():
            self.token_dim = self.vector_dim = int(self.model(torch.zeros(1, 3, 64, 64)).shape[1])

    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W]."""
        map_BCHW = self.model(pixel_values.contiguous(memory_format=torch.channels_last))
        tokens_BTD = map_BCHW.flatten(2).transpose(1, 2)
        return Encoded(tokens_BTD.mean(1), tokens_BTD, _all_real(tokens_BTD))


class HFImageEncoder(Encoder):
    """A transformers vision model: ViT-like (tokens) or CNN (a map)."""

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.model = one_tower(model, "image")
        config = self.model.config
        sizes = getattr(config, "hidden_sizes", None)
        width = getattr(config, "hidden_size", None)
        if width is None and not sizes:
            raise ValueError(f"the model type {config.model_type!r} is not a vision model that Plait knows")
        self.token_dim = self.vector_dim = int(width if width is not None else sizes[-1])
        parameters = inspect.signature(self.model.forward).parameters
        self._interpolates = "interpolate_pos_encoding" in parameters

    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W]."""
        options: dict[str, Any] = {}
        native = getattr(self.model.config, "image_size", None)
        if self._interpolates and native is not None and pixel_values.shape[-1] != _side(native):
            options["interpolate_pos_encoding"] = True
        hidden = self.model(pixel_values=pixel_values, **options).last_hidden_state
        if hidden.ndim == 4:
            tokens_BTD = hidden.flatten(2).transpose(1, 2)
            return Encoded(tokens_BTD.mean(1), tokens_BTD, _all_real(tokens_BTD))
        num_prefix = self._num_prefix(hidden.shape[1], pixel_values)
        tokens_BTD = hidden[:, num_prefix:]
        vector_BD = hidden[:, 0] if num_prefix else tokens_BTD.mean(1)
        if self.description["pooling"] == "norm":  # CLIP normalises only its pooled class token
            vector_BD = self.model.post_layernorm(vector_BD)
        return Encoded(vector_BD, tokens_BTD, _all_real(tokens_BTD))

    def _num_prefix(self, num_tokens: int, pixel_values: Tensor) -> int:
        """Class, distillation and register tokens in front of the patches."""
        patch = getattr(self.model.config, "patch_size", None)
        if not isinstance(patch, int):
            return 0
        num_patches = (pixel_values.shape[-2] // patch) * (pixel_values.shape[-1] // patch)
        return num_tokens - num_patches if 0 <= num_tokens - num_patches <= 16 else 0


def load_timm(name: str, reference: str, file: Path, resizes: bool) -> TimmEncoder:
    """Build a timm network and fill it from a safetensors file."""
    encoder = TimmEncoder({"type": "timm", "reference": reference, "name": name, "resizes": resizes})
    heads = encoder.model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    fill_from_file(encoder.model, file, (*heads, "classifier.", "fc.", "head."))
    return encoder


def load_torchvision(name: str, reference: str, file: Path) -> TorchvisionEncoder:
    """Build a torchvision network and fill it from a safetensors file."""
    encoder = TorchvisionEncoder({"type": "torchvision", "reference": reference, "name": name})
    fill_from_file(encoder.model, file, tuple(f"{head}." for head in HEAD_CHILDREN))
    return encoder


def load_hf_image(folder: Path, reference: str) -> HFImageEncoder:
    """Load a vision model from a folder on this machine."""
    model, config = read_hf_model(folder)
    tower = one_tower(model, "image")
    pooling = (
        "norm" if isinstance(getattr(tower, "post_layernorm", None), nn.Module) and tower is not model else "plain"
    )
    return HFImageEncoder(model, {"type": "hf-image", "reference": reference, "hf": config, "pooling": pooling})


def timm_settings(name: str) -> dict[str, Any]:
    """Size, mean, std, interpolation and crop of a timm network."""
    import timm

    config = timm.data.resolve_data_config({}, model=None, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    return {
        "size": int(config["input_size"][1]),
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "interpolation": config["interpolation"],
        "crop_pct": float(config["crop_pct"]),
    }


def torchvision_settings(name: str) -> dict[str, Any]:
    """Size, mean, std, interpolation and crop of a torchvision network."""
    import torchvision

    view = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    size, resized = int(view.crop_size[0]), int(view.resize_size[0])
    return {
        "size": size,
        "mean": tuple(view.mean),
        "std": tuple(view.std),
        "interpolation": view.interpolation.value,
        "crop_pct": min(1.0, size / resized),
    }


def hf_settings(folder: Path, config: Any) -> dict[str, Any]:
    """Size, mean, std and interpolation from ``preprocessor_config.json``.

    ImageNet's where a folder has none.
    """
    path = folder / "preprocessor_config.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    size = stored.get("crop_size") or stored.get("size") or getattr(config, "image_size", None) or 224
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or 224
    short = stored.get("size")
    short = short.get("shortest_edge") if isinstance(short, dict) else short
    crop_pct = float(stored.get("crop_pct") or 1.0)
    if stored.get("crop_size") and isinstance(short, int) and short > _side(size):
        crop_pct = _side(size) / short
    return {
        "size": _side(size),
        "mean": tuple(stored.get("image_mean") or IMAGENET["mean"]),
        "std": tuple(stored.get("image_std") or IMAGENET["std"]),
        "interpolation": PIL_FILTERS.get(stored.get("resample", 3), "bicubic"),
        "crop_pct": crop_pct,
    }


def build_timm(config: dict[str, Any]) -> TimmEncoder:
    """Rebuild from ``config()``, without weights."""
    return TimmEncoder({key: config[key] for key in ("type", "reference", "name", "resizes")})


def build_torchvision(config: dict[str, Any]) -> TorchvisionEncoder:
    """Rebuild from ``config()``, without weights."""
    return TorchvisionEncoder({key: config[key] for key in ("type", "reference", "name")})


def build_hf_image(config: dict[str, Any]) -> HFImageEncoder:
    """Rebuild from ``config()``, without weights."""
    description = {key: config[key] for key in ("type", "reference", "hf", "pooling")}
    return HFImageEncoder(new_hf_model(config["hf"]), description)


def _all_real(tokens_BTD: Tensor) -> Tensor:
    return torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)


def _side(size: Any) -> int:
    return int(size[0]) if isinstance(size, list | tuple) else int(size)


ENCODERS.add("timm", build_timm)
ENCODERS.add("torchvision", build_torchvision)
ENCODERS.add("hf-image", build_hf_image)
