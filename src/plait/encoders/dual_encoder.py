"""One side of a two-tower model (CLIP, SigLIP, CLAP and their like), with the model's own projection.

In: the tensors of a processor. Out: one vector an item and no tokens. ``hf:`` gives the bare tower without projection,
to train something on; this gives what the model itself would search by, in the space that both sides share.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, read_hf_model, refuse_random
from plait.encoders.crops import mean_of_crops
from plait.encoders.probe import probed_widths
from plait.encoders.sentence import build_behind, fill_behind
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
        description: JSON config with ``hf``, ``kind`` and, for text, ``pad``, the id that fills texts up; with
            ``modules`` where a folder of sentence-transformers puts something behind the projection.

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
        steps = description.get("modules", [])
        if steps:
            self.behind = build_behind(steps)
        if self.kind == "audio":
            self.vector_dim = next(
                (s["dense"]["num_out"] for s in reversed(steps) if "dense" in s), shared_width(config)
            )
        else:
            inputs = PROBE if self.kind == "text" else probe_pixels(config.vision_config)
            self.vector_dim, _ = probed_widths(self, **inputs)

    @mean_of_crops
    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode pixels (or patches), ``input_ids`` with ``attention_mask`` [B, T], or ``values`` of sounds."""
        if self.kind == "audio":  # clips are cut to what the network hears, so none is longer
            values = inputs["values"]
            inputs = {"input_features": values}
            if "is_longer" in inspect.signature(self.model.get_audio_features).parameters:
                inputs["is_longer"] = torch.zeros(len(values), 1, dtype=torch.bool, device=values.device)
        if self.full_length is not None:
            full_BT = fill_up(inputs["input_ids"], inputs["attention_mask"], self.full_length, self.description)
            inputs = {"input_ids": full_BT}
        if self.kind == "image":
            inputs |= stretch(self.model.config.vision_config, inputs, self.model.get_image_features)
        found = getattr(self.model, FEATURES[self.kind])(**inputs)
        vector_BD = found if isinstance(found, Tensor) else found.pooler_output
        if hasattr(self, "behind"):
            vector_BD = self.behind(vector_BD)
        return Encoded(vector_BD, None, None)


def shared_width(config: Any) -> int:
    """Width of the space both sides share."""
    width = getattr(config, "projection_dim", None)
    if width is None:  # SigLIP: the text tower ends in a layer of that width
        width = getattr(config.text_config, "projection_size", None) or config.text_config.hidden_size
    return int(width)


def load_dual_encoder(
    folder: Path, reference: str, kind: str, steps: list[dict[str, Any]] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> DualEncoder:  # fmt: skip
    """Load one side from a folder on this machine.

    Args:
        folder: With the network's configuration and weights.
        reference: What the user typed.
        kind: "text", "image" or "audio".
        steps: What stands behind the projection, and the weights of it.
        weights: See ``steps``.

    Raises:
        ValueError: The model has no such side, or weights that it uses are missing.
    """
    model, config = read_hf_model(folder)
    _check_side(model, kind, reference)
    pad = pad_settings(folder) if kind == "text" else {"pad": None}
    if config["model_type"] not in PADS_TO_FULL_LENGTH:
        pad.pop("pad_side", None)
    description = {"type": "two-tower", "reference": reference, "hf": config, "kind": kind, **pad}
    encoder = DualEncoder(model, description | ({"modules": steps} if steps else {}))
    if steps:
        fill_behind(encoder.behind, weights or {}, folder)
    refuse_random(encoder, folder)
    return encoder


def _check_side(model: nn.Module, kind: str, reference: str) -> None:
    if not hasattr(model, FEATURES[kind]):
        model_type = getattr(model.config, "model_type", None)
        raise ValueError(
            f"{reference} is no two-tower model with a side for {kind}: the model type {model_type!r} gives no {kind} "
            "features"
        )


def build_dual_encoder(config: dict[str, Any]) -> DualEncoder:
    """Rebuild from ``config()``, without weights."""
    keys = ("type", "reference", "hf", "kind", "pad", "pad_side", "modules")
    description = {key: config[key] for key in keys if key in config}
    return DualEncoder(new_hf_model(config["hf"]), description)


ENCODERS.add("two-tower", build_dual_encoder)
