"""Small encoders without pretrained weights, for tests, tiny tasks and machines without any download.

``scratch:text`` is a Transformer on hashed word pieces; ``scratch:image`` is a CNN with residual blocks.
Both are trained with the model by default: frozen, they would be random projections.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder


class ScratchTextEncoder(Encoder):
    """A pre-norm Transformer, mean-pooled.

    Args:
        num_buckets: Ids of the hashed processor.
        max_length: Most positions.
        width: Width of tokens and vector.
        num_layers: Transformer layers.
    """

    is_pretrained = False

    def __init__(
        self,
        num_buckets: int = 20_000,
        max_length: int = 128,
        width: int = 128,
        num_layers: int = 2,
    ) -> None:
        super().__init__(
            {
                "type": "scratch-text",
                "reference": "scratch:text",
                "num_buckets": num_buckets,
                "max_length": max_length,
                "width": width,
                "num_layers": num_layers,
            }
        )
        self.vector_dim = self.token_dim = width
        layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
            for _ in range(num_layers)
        )
        self.model = nn.ModuleDict(
            {
                "embed": nn.Embedding(num_buckets, width, padding_idx=0),
                "positions": nn.Embedding(max_length, width),
                "layers": layers,
                "norm": nn.LayerNorm(width),
            }
        )
        nn.init.normal_(self.model["embed"].weight, std=0.5)
        nn.init.normal_(self.model["positions"].weight, std=0.1)
        with torch.no_grad():
            self.model["embed"].weight[0] = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Encode hashed ids [B, T] with their mask [B, T]."""
        mask_BT = attention_mask.bool()
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        tokens_BTD = self.model["embed"](input_ids) + self.model["positions"](places)
        for layer in self.model["layers"]:
            tokens_BTD = layer(tokens_BTD, src_key_padding_mask=~mask_BT)
        tokens_BTD = self.model["norm"](tokens_BTD)
        return Encoded(masked_mean(tokens_BTD, mask_BT), tokens_BTD, mask_BT)


class ScratchImageEncoder(Encoder):
    """A CNN of four stages; its last map, side/16, gives the tokens and its mean the vector.

    Args:
        width: Channels of the last stage.
    """

    is_pretrained = False
    order = "grid"

    def __init__(self, width: int = 128) -> None:
        super().__init__({"type": "scratch-image", "reference": "scratch:image", "width": width})
        self.vector_dim = self.token_dim = width
        widths = [width // 4, width // 2, width, width]
        ins = [3, *widths]
        stages = nn.ModuleList(_Stage(ins[i], widths[i]) for i in range(4))
        self.model = nn.ModuleDict({"stages": stages})

    def forward(self, pixel_values: Tensor) -> Encoded:
        """Encode images [B, 3, H, W]."""
        map_BCHW = pixel_values.contiguous(memory_format=torch.channels_last)
        for stage in self.model["stages"]:
            map_BCHW = stage(map_BCHW)
        tokens_BTD = map_BCHW.flatten(2).transpose(1, 2)
        mask_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)
        return Encoded(tokens_BTD.mean(1), tokens_BTD, mask_BT)


class _Stage(nn.Module):
    """Halve the side, then one residual block; group norm, so that a batch of one behaves alike."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, out_channels)
        self.conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_norm = nn.GroupNorm(8, out_channels)

    def forward(self, map_BCHW: Tensor) -> Tensor:
        map_BCHW = torch.relu(self.norm(self.down(map_BCHW)))
        return torch.relu(map_BCHW + self.conv_norm(self.conv(map_BCHW)))


def masked_mean(tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean of the real tokens [B, D]; an item without any gives zeros."""
    weights_BT1 = mask_BT.unsqueeze(-1).to(tokens_BTD.dtype)
    return (tokens_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1)


def build_scratch_text(config: dict[str, Any]) -> ScratchTextEncoder:
    """Rebuild from ``config()``."""
    return ScratchTextEncoder(config["num_buckets"], config["max_length"], config["width"], config["num_layers"])


def build_scratch_image(config: dict[str, Any]) -> ScratchImageEncoder:
    """Rebuild from ``config()``."""
    return ScratchImageEncoder(config["width"])


ENCODERS.add("scratch-text", build_scratch_text)
ENCODERS.add("scratch-image", build_scratch_image)
