"""One side of a two-tower model (CLIP, SigLIP, CLAP and their like), with the model's own projection.

In: the tensors of a processor. Out: one vector an item and no tokens. ``hf:`` gives the bare tower without projection,
to train something on; this gives what the model itself would search by, in the space that both sides share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, read_hf_model, refuse_random
from plait.encoders.crops import mean_of_crops
from plait.encoders.probe import probed_widths
from plait.encoders.text import PADS_TO_FULL_LENGTH, PROBE, fill_up, full_length, pad_settings
from plait.encoders.vision import probe_pixels, stretch

FEATURES = {"text": "get_text_features", "image": "get_image_features", "audio": "get_audio_features"}
PARTS = {
    "text": ("text_model", "text_projection"), "image": ("vision_model", "visual_projection"),
    "audio": ("audio_model", "audio_projection"),
}  # fmt: skip
SCALES = ("logit_scale", "logit_scale_a", "logit_scale_t", "logit_bias")  # of the pair, kept by the head


class DualEncoder(Encoder):
    """One side of a transformers model that has ``get_text_features``, ``get_image_features`` or the like.

    Args:
        model: The model, whole; other sides are dropped.
        description: JSON config with ``hf``, ``kind`` and, for text, ``pad``, the id that fills texts up.

    Raises:
        ValueError: The model has no such side.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.kind = str(description["kind"])
        _check_side(model, self.kind, self.reference)
        for name in (part for kind, parts in PARTS.items() if kind != self.kind for part in parts):
            if isinstance(getattr(model, name, None), nn.Module):
                setattr(model, name, nn.Identity())
        for name in SCALES:
            if isinstance(getattr(model, name, None), nn.Parameter):
                delattr(model, name)
        self.model = model
        config = model.config
        self.full_length = (
            full_length(config.text_config)
            if self.kind == "text" and config.model_type in PADS_TO_FULL_LENGTH
            else None
        )
        self.token_dim = None
        if self.kind == "audio":
            self.vector_dim = shared_width(config)
        else:
            inputs = PROBE if self.kind == "text" else probe_pixels(config.vision_config)
            self.vector_dim, _ = probed_widths(self, **inputs)

    @mean_of_crops
    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode pixels (or patches), ``input_ids`` with ``attention_mask`` [B, T], or ``values`` of sounds."""
        if self.kind == "audio":  # clips are cut to what the network hears, so none is longer
            values = inputs["values"]
            never_longer = torch.zeros(len(values), 1, dtype=torch.bool, device=values.device)
            inputs = {"input_features": values, "is_longer": never_longer}
        if self.full_length is not None:
            full_BT = fill_up(inputs["input_ids"], inputs["attention_mask"], self.full_length, self.description)
            inputs = {"input_ids": full_BT}
        if self.kind == "image":
            inputs |= stretch(self.model.config.vision_config, inputs, self.model.get_image_features)
        found = getattr(self.model, FEATURES[self.kind])(**inputs)
        vector_BD = found if isinstance(found, Tensor) else found.pooler_output
        return Encoded(vector_BD, None, None)


def shared_width(config: Any) -> int:
    """Width of the space both sides share."""
    width = getattr(config, "projection_dim", None)
    if width is None:  # SigLIP: the text tower ends in a layer of that width
        width = getattr(config.text_config, "projection_size", None) or config.text_config.hidden_size
    return int(width)


def load_dual_encoder(folder: Path, reference: str, kind: str) -> DualEncoder:
    """Load one side from a folder on this machine.

    Raises:
        ValueError: The model has no such side, or weights that it uses are missing.
    """
    model, config = read_hf_model(folder)
    _check_side(model, kind, reference)
    pad = pad_settings(folder) if kind == "text" else {"pad": None}
    if config["model_type"] not in PADS_TO_FULL_LENGTH:
        pad.pop("pad_side", None)
    description = {"type": "two-tower", "reference": reference, "hf": config, "kind": kind, **pad}
    encoder = DualEncoder(model, description)
    refuse_random(encoder, folder)
    return encoder


@dataclass(frozen=True)
class Pair:
    """What the two sides of a model have in common.

    Attributes:
        other: The kind of the side beside text: "image" or "audio".
        scale: One over the temperature that the model was trained with. CLAP has two; this is the one by which a sound
            asks for texts.
        bias: Of a model with the sigmoid loss, or None.
    """

    other: str
    scale: float
    bias: float | None


def read_pair(folder: Path) -> Pair:
    """Read what kind of pair a folder's model is.

    Raises:
        ValueError: It is no two-tower model of text and something else.
    """
    model, _ = read_hf_model(folder)
    other = next((kind for kind in ("image", "audio") if hasattr(model, FEATURES[kind])), None)
    scale = next((s for s in (getattr(model, n, None) for n in SCALES[:2]) if isinstance(s, Tensor)), None)
    if other is None or scale is None or not hasattr(model, FEATURES["text"]):
        raise ValueError(
            f"the model in {str(folder)!r} has no logit_scale or no two sides, so it is no CLIP-like two-tower model"
        )
    bias = getattr(model, "logit_bias", None)
    with torch.no_grad():
        return Pair(other, float(scale.exp()), None if bias is None else float(bias))


def _check_side(model: nn.Module, kind: str, reference: str) -> None:
    if not hasattr(model, FEATURES[kind]):
        model_type = getattr(model.config, "model_type", None)
        raise ValueError(
            f"{reference} is no two-tower model with a side for {kind}: the model type {model_type!r} gives no {kind} "
            "features"
        )


def build_dual_encoder(config: dict[str, Any]) -> DualEncoder:
    """Rebuild from ``config()``, without weights."""
    keys = ("type", "reference", "hf", "kind", "pad", "pad_side")
    description = {key: config[key] for key in keys if key in config}
    return DualEncoder(new_hf_model(config["hf"]), description)


ENCODERS.add("two-tower", build_dual_encoder)
