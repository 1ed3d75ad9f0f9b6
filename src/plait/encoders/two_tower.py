"""One side of a two-tower model (CLIP, SigLIP and their like), with the model's own projection into the shared space.

In: the tensors of a processor. Out: one vector an item and no tokens. ``hf:`` gives the bare tower without projection,
to train something on; this gives what the model itself would search by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, read_hf_model

FEATURES = {"text": "get_text_features", "image": "get_image_features"}
PADS_TO_FULL_LENGTH = ("siglip", "siglip2")  # trained on texts padded to one length, and reads the last position


class TwoTowerEncoder(Encoder):
    """One side of a transformers model that has ``get_text_features`` or ``get_image_features``.

    Args:
        model: The model, whole; the other side is dropped.
        description: JSON config with ``hf``, ``kind`` and, for text, ``pad``, the id that fills texts up.

    Raises:
        ValueError: The model has no such side.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.kind = str(description["kind"])
        if not hasattr(model, FEATURES[self.kind]):
            raise ValueError(
                f"{description['reference']} is no two-tower model with a {self.kind} side: the model type "
                f"{description['hf'].get('model_type')!r} gives no {self.kind} features"
            )
        others = {"text": ("vision_model", "visual_projection"), "image": ("text_model", "text_projection")}
        for name in others[self.kind]:
            if isinstance(getattr(model, name, None), nn.Module):
                setattr(model, name, nn.Identity())
        for name in ("logit_scale", "logit_bias"):  # of the pair, kept by the head
            if isinstance(getattr(model, name, None), nn.Parameter):
                delattr(model, name)
        self.model = model
        config = model.config
        self.full_length = (
            int(config.text_config.max_position_embeddings)
            if self.kind == "text" and config.model_type in PADS_TO_FULL_LENGTH
            else None
        )
        self.vector_dim = shared_width(config)
        self.token_dim = None

    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode ``pixel_values`` [B, 3, H, W], or ``input_ids`` with ``attention_mask`` [B, T]."""
        if self.full_length is not None:
            ids_BT = inputs["input_ids"]
            missing = self.full_length - ids_BT.shape[1]
            inputs = {"input_ids": nn.functional.pad(ids_BT, (0, missing), value=int(self.description["pad"]))}
        found = getattr(self.model, FEATURES[self.kind])(**inputs)
        vector_BD = found if isinstance(found, Tensor) else found.pooler_output
        return Encoded(vector_BD, None, None)


def shared_width(config: Any) -> int:
    """Width of the space both sides share."""
    width = getattr(config, "projection_dim", None)
    if width is None:  # SigLIP: the text tower ends in a layer of that width
        width = getattr(config.text_config, "projection_size", None) or config.text_config.hidden_size
    return int(width)


def load_two_tower(folder: Path, reference: str, kind: str, pad: int | None) -> TwoTowerEncoder:
    """Load one side from a folder on this machine."""
    model, config = read_hf_model(folder)
    description = {"type": "two-tower", "reference": reference, "hf": config, "kind": kind, "pad": pad}
    return TwoTowerEncoder(model, description)


def read_temperature(folder: Path) -> tuple[float, float | None]:
    """Scale (one over the temperature) and bias (None without one) that the model was trained with."""
    model, _ = read_hf_model(folder)
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    if not isinstance(scale, Tensor):
        raise ValueError(f"the model in {str(folder)!r} has no logit_scale, so it is no CLIP-like two-tower model")
    with torch.no_grad():
        return float(scale.exp()), None if bias is None else float(bias)


def build_two_tower(config: dict[str, Any]) -> TwoTowerEncoder:
    """Rebuild from ``config()``, without weights."""
    description = {key: config[key] for key in ("type", "reference", "hf", "kind", "pad")}
    return TwoTowerEncoder(new_hf_model(config["hf"]), description)


ENCODERS.add("two-tower", build_two_tower)
