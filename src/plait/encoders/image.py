"""Image encoders: timm and torchvision networks.

In: ``pixel_values`` [B, 3, H, W]. Out: the spatial map flattened to tokens [B, H*W, C], or the patch tokens
of a vision transformer without its class token, and one vector: the pooled map or the class token. CNNs get
their input in channels-last order: on a CPU plain input takes up to 1.6 times as long, and weights in that order gain
nothing more (``benchmarks/encode_options.py``, decision 37).
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import fill_from_file
from plait.encoders.crops import mean_of_crops
from plait.weights.torchvision_names import check_torchvision

HEAD_CHILDREN = ("avgpool", "classifier", "fc", "head")


class TimmEncoder(Encoder):
    """A timm network without its classifier."""

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        import timm

        options = {"dynamic_img_size": True} if description["resizes"] else {}
        self.model = timm.create_model(description["name"], pretrained=False, num_classes=0, **options).eval()
        self.token_dim = int(self.model.num_features)
        self.order = None if hasattr(self.model, "patch_embed") else "grid"  # transformers have positions
        self.vector_dim = int(getattr(self.model, "head_hidden_size", None) or self.model.num_features)

    @mean_of_crops
    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W], or with crops [B, K, 3, H, W]."""
        features = self.model.forward_features(pixel_values.contiguous(memory_format=torch.channels_last))
        vector_BD = self.model.forward_head(features, pre_logits=True)
        if features.ndim == 4 and getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            tokens_BTD = features.flatten(1, 2)
        elif features.ndim == 4:
            tokens_BTD = features.flatten(2).transpose(1, 2)
        else:
            tokens_BTD = features[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]
        return Encoded(vector_BD, tokens_BTD, all_real(tokens_BTD))


class TorchvisionEncoder(Encoder):
    """The feature map of a torchvision CNN, cut before its pooling."""

    order = "grid"

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__(description)
        import torchvision

        name = description["name"]
        check_torchvision(name)
        whole = torchvision.models.get_model(name, weights=None)
        parts = OrderedDict((key, part) for key, part in whole.named_children() if key not in HEAD_CHILDREN)
        if name.startswith("densenet"):
            parts["final_relu"] = nn.ReLU()
        self.model = nn.Sequential(parts).eval()
        with torch.inference_mode():
            self.token_dim = self.vector_dim = int(self.model(torch.zeros(1, 3, 64, 64)).shape[1])

    @mean_of_crops
    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W], or with crops [B, K, 3, H, W]."""
        map_BCHW = self.model(pixel_values.contiguous(memory_format=torch.channels_last))
        tokens_BTD = map_BCHW.flatten(2).transpose(1, 2)
        return Encoded(tokens_BTD.mean(1), tokens_BTD, all_real(tokens_BTD))


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


def timm_settings(name: str) -> dict[str, Any]:
    """Size, mean, std, interpolation, crop and mode of a timm network.

    Raises:
        ValueError: It was trained on pictures with a border around them.
    """
    import timm

    config = timm.data.resolve_data_config({}, model=None, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    modes = {"center": "crop", "squash": "squash" if config["crop_pct"] == 1 else "squash_crop"}
    mode = modes.get(config["crop_mode"])
    if mode is None:
        raise ValueError(
            f"timm:{name} wants pictures prepared by {config['crop_mode']!r}, which Plait does not follow; expected "
            f"{' or '.join(modes)}: choose another network (timm.list_pretrained())"
        )
    return {
        "size": int(config["input_size"][1]),
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "interpolation": config["interpolation"],
        "crop_pct": float(config["crop_pct"]),
        **({} if mode == "crop" else {"mode": mode}),
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


def build_timm(config: dict[str, Any]) -> TimmEncoder:
    """Rebuild from ``config()``, without weights."""
    return TimmEncoder({key: config[key] for key in ("type", "reference", "name", "resizes")})


def build_torchvision(config: dict[str, Any]) -> TorchvisionEncoder:
    """Rebuild from ``config()``, without weights."""
    return TorchvisionEncoder({key: config[key] for key in ("type", "reference", "name")})


def all_real(tokens_BTD: Tensor) -> Tensor:
    """The mask of tokens [B, T, D] that are all real: True, [B, T]."""
    return torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)


ENCODERS.add("timm", build_timm)
ENCODERS.add("torchvision", build_torchvision)
