"""Image encoders from ``transformers``: vision transformers, CNNs and the image towers of CLIP and its relatives.

In: ``pixel_values`` [B, 3, H, W], or the patches of a processor that keeps the aspect (NaFlex). Out: patch tokens
without the class token, or the map flattened to tokens, and one vector: the class token, the mean, or what the
network's own pooling gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import is_random, new_hf_model, one_tower, read_hf_model, refuse_random, takes
from plait.encoders.crops import mean_of_crops
from plait.encoders.image import all_real
from plait.encoders.probe import FAILURES, probed_widths

MOST_PREFIX_TOKENS = 16
PROBE_SIDE = 64
CLOSE = 1e-6


class HFImageEncoder(Encoder):
    """A transformers vision model: ViT-like (tokens) or CNN (a map).

    Args:
        model: The model, whole; one tower is taken from a model of several.
        description: JSON config with ``hf`` and ``pooling``: "plain" (class token or mean), "norm" (the class token
            through a norm of its own) or "pooler" (the network's pooled output).

    Raises:
        ValueError: The model sees no pictures.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.model = one_tower(model, "image", keeps_pooler=description["pooling"] == "pooler")
        _check_sees(self.model, self.reference)
        self.vector_dim, self.token_dim = probed_widths(self, **probe_pixels(self.model.config))

    @mean_of_crops
    def forward(self, pixel_values: Tensor, **patches: Tensor) -> Encoded:
        """Encode images [B, 3, H, W], with crops [B, K, 3, H, W], or patches [B, T, P] with ``pixel_attention_mask``
        and ``spatial_shapes``.
        """
        output = see(self.model, pixel_values, **patches)
        hidden = output.last_hidden_state
        if hidden.ndim == 4:
            self.order = "grid"  # the map of a CNN; the probe has come by here before anybody asks
            tokens_BTD = hidden.flatten(2).transpose(1, 2)
            return Encoded(self._pooled(output, tokens_BTD.mean(1)), tokens_BTD, all_real(tokens_BTD))
        if patches:
            mask_BT = patches["pixel_attention_mask"].bool()
            mean_BD = (hidden * mask_BT[..., None]).sum(1) / mask_BT.sum(1, keepdim=True)
            return Encoded(self._pooled(output, mean_BD), hidden, mask_BT)
        num_prefix = _num_prefix(self.model.config, hidden.shape[1], pixel_values)
        tokens_BTD = hidden[:, num_prefix:]
        vector_BD = hidden[:, 0] if num_prefix else tokens_BTD.mean(1)
        return Encoded(self._pooled(output, vector_BD), tokens_BTD, all_real(tokens_BTD))

    def _pooled(self, output: Any, plain_BD: Tensor) -> Tensor:
        if self.description["pooling"] == "pooler":
            pooled: Tensor = output.pooler_output
            return pooled.flatten(1)
        if self.description["pooling"] == "norm":  # CLIP normalises only its pooled class token
            network: Any = self.model
            normed: Tensor = network.post_layernorm(plain_BD)
            return normed
        return plain_BD


def see(network: nn.Module, pixel_values: Tensor, **patches: Tensor) -> Any:
    """What a vision network gives, its positions stretched where the pictures have not its own size."""
    inputs = {"pixel_values": pixel_values, **patches}
    return network(**inputs, **stretch(network.config, inputs, network.forward))


def stretch(config: Any, inputs: dict[str, Tensor], function: Callable[..., Any]) -> dict[str, bool]:
    """The option that stretches positions, where pictures have not the network's own size and it can."""
    native, pixels = getattr(config, "image_size", None), inputs["pixel_values"]
    can = "interpolate_pos_encoding" in inspect.signature(function).parameters
    differs = native is not None and pixels.ndim == 4 and pixels.shape[-1] != _side(native)
    return {"interpolate_pos_encoding": True} if can and differs else {}


def probe_pixels(config: Any) -> dict[str, Tensor]:
    """One picture of noise that fits a network."""
    noise = torch.Generator().manual_seed(0)
    patch, size = getattr(config, "patch_size", None), getattr(config, "image_size", None)
    channels = int(getattr(config, "num_channels", 3))
    if size is None and isinstance(patch, int) and getattr(config, "num_patches", None) is not None:
        shape = (1, 4, channels * patch * patch)
        return {
            "pixel_values": torch.rand(shape, generator=noise) - 0.5,
            "pixel_attention_mask": torch.ones(1, 4, dtype=torch.int32), "spatial_shapes": torch.tensor([[2, 2]]),
        }  # fmt: skip
    side = PROBE_SIDE if patch is None or size is None else _side(size)  # a map may have any size
    return {"pixel_values": torch.rand((1, channels, side, side), generator=noise) - 0.5}


def takes_patches(encoder: nn.Module) -> bool:
    """Whether an encoder wants the patches of a processor that keeps the aspect, not squares."""
    network: Any = encoder.model
    config = getattr(network.config, "vision_config", network.config)
    return "spatial_shapes" in probe_pixels(config)


def load_hf_image(folder: Path, reference: str) -> HFImageEncoder:
    """Load a vision model from a folder on this machine.

    Raises:
        ValueError: Weights that are used are missing, or the model sees no pictures.
    """
    model, config = read_hf_model(folder)
    description = {"type": "hf-image", "reference": reference, "hf": config, "pooling": _pooling(model, reference)}
    encoder = HFImageEncoder(model, description)
    refuse_random(encoder, folder)
    return encoder


def build_hf_image(config: dict[str, Any]) -> HFImageEncoder:
    """Rebuild from ``config()``, without weights."""
    description = {key: config[key] for key in ("type", "reference", "hf", "pooling")}
    return HFImageEncoder(new_hf_model(config["hf"]), description)


def _pooling(model: nn.Module, reference: str) -> str:
    """How the authors' vector is made, with the simplest name that gives it."""
    network: Any = one_tower(model, "image", keeps_pooler=True)
    is_tower = network is not model
    has_pooler = isinstance(getattr(network, "pooler", None), nn.Module)
    normed = is_tower and isinstance(getattr(network, "post_layernorm", None), nn.Module)
    simple = "norm" if normed else "plain"
    _check_sees(network, reference)
    inputs = probe_pixels(network.config)
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            output = see(network, **inputs)
    except FAILURES:
        return simple  # the encoder's own probe says what is wrong
    hidden, pooled = output.last_hidden_state, getattr(output, "pooler_output", None)
    pools_a_mean = getattr(network.config, "use_mean_pooling", False) and not is_random(network.pooler)
    if pooled is None or not (is_tower or hidden.ndim == 4 or (has_pooler and pools_a_mean)):
        return simple  # a bare transformer: its class token, before a pooler that was trained for something else
    plain_BD = hidden.flatten(2).mean(2) if hidden.ndim == 4 else hidden[:, 0]
    if hidden.ndim == 3 and not _num_prefix(network.config, hidden.shape[1], inputs["pixel_values"]):
        plain_BD = hidden.mean(1)
    with torch.inference_mode():
        plain_BD = network.post_layernorm(plain_BD) if normed else plain_BD
    return simple if torch.allclose(plain_BD, pooled.flatten(1), atol=CLOSE) else "pooler"


def _check_sees(network: nn.Module, reference: str) -> None:
    if not takes(network, "pixel_values"):
        kind = getattr(network.config, "model_type", None)
        raise ValueError(f"{reference} sees no pictures: its model type is {kind!r}; choose an image encoder")


def _num_prefix(config: Any, num_tokens: int, pixel_values: Tensor) -> int:
    """Class, distillation and register tokens in front of the patches."""
    patch = getattr(config, "patch_size", None)
    if not isinstance(patch, int) or pixel_values.ndim != 4:
        return 0
    num_patches = (pixel_values.shape[-2] // patch) * (pixel_values.shape[-1] // patch)
    return num_tokens - num_patches if 0 <= num_tokens - num_patches <= MOST_PREFIX_TOKENS else 0


def _side(size: Any) -> int:
    return int(size[0]) if isinstance(size, list | tuple) else int(size)


ENCODERS.add("hf-image", build_hf_image)
