"""``scratch:audio``: a small CNN on log-mel spectrograms, without pretrained weights, and SpecAugment for it.

In: ``values`` [B, T, mels] and ``mask_BT``. Out: one token each 160 ms, and their mean plus their maximum as the
vector. Each clip is normalised by itself, in groups of channels over all its real places, so that how loud a place is
beside the others stays (a normalisation of every place by itself would take that away, and clips then look alike);
padding takes no part and is emptied after each convolution, so that neither it nor neighbours in a batch change
anything. Reference: Wu, He 2018, "Group Normalization", equations 1 to 7, here over the places under a mask.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.scratch import masked_mean

NUM_STAGES = 4
NUM_GROUPS = 8
NUM_MASKS = 2
MEL_SHARE, TIME_SHARE = 0.2, 0.1  # widest mask, as a share of the mel filters and of the clip


class ScratchAudioEncoder(Encoder):
    """Four stages, each halving time and mels.

    Args:
        num_mels: Mel filters of the processor.
        width: Width of tokens and vector.
        spec_augment: Hide bands of time and mels while training.
    """

    is_pretrained = False
    order = "sequence"

    def __init__(self, num_mels: int = 80, width: int = 128, spec_augment: bool = True) -> None:
        super().__init__(
            {
                "type": "scratch-audio",
                "reference": "scratch:audio",
                "num_mels": num_mels,
                "width": width,
                "spec_augment": spec_augment,
            }
        )
        self.spec_augment = spec_augment
        self.vector_dim = self.token_dim = width
        widths = [1, width // 4, width // 2, width, width]
        bands = num_mels
        for _ in range(NUM_STAGES):
            bands = (bands + 1) // 2
        self.model = nn.ModuleDict(
            {
                "stages": nn.ModuleList(_Stage(widths[i], widths[i + 1]) for i in range(NUM_STAGES)),
                "join": nn.Linear(bands * width, width),
            }
        )

    def forward(self, values: Tensor, mask_BT: Tensor) -> Encoded:
        """Encode spectrograms [B, T, mels] with their mask [B, T]."""
        if self.training and self.spec_augment:
            values = spec_augment(values, mask_BT)
        map_BCTF = (values * mask_BT[..., None])[:, None]
        for stage in self.model["stages"]:
            mask_BT = mask_BT[:, ::2]
            map_BCTF = stage(map_BCTF, mask_BT[:, None, :, None])
        tokens_BTD = self.model["join"](map_BCTF.permute(0, 2, 3, 1).flatten(2))
        loudest_BD = tokens_BTD.masked_fill(~mask_BT[..., None], -torch.inf).amax(1)
        loudest_BD = torch.where(mask_BT.any(1, keepdim=True), loudest_BD, 0.0)
        return Encoded(masked_mean(tokens_BTD, mask_BT) + loudest_BD, tokens_BTD, mask_BT)


class _Stage(nn.Module):
    """Halve both sides, then one residual block; group norm over the real places of a clip."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(math.gcd(NUM_GROUPS, out_channels), out_channels)
        self.conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_norm = nn.GroupNorm(math.gcd(NUM_GROUPS, out_channels), out_channels)

    def forward(self, map_BCTF: Tensor, mask_B1T1: Tensor) -> Tensor:
        map_BCTF = torch.relu(masked_group_norm(self.norm, self.down(map_BCTF), mask_B1T1)) * mask_B1T1
        return torch.relu(map_BCTF + masked_group_norm(self.conv_norm, self.conv(map_BCTF), mask_B1T1)) * mask_B1T1


def masked_group_norm(norm: nn.GroupNorm, map_BCTF: Tensor, mask_B1T1: Tensor) -> Tensor:
    """Group normalisation [B, C, T, F] by mean and variance of the real places alone.

    Args:
        norm: Its groups, scale and shift.
        map_BCTF: What is normalised; what lies at places that are not real is normalised too, by the same numbers.
        mask_B1T1: True where a place is real; a clip without any gets the shift, or what a mean of 0 makes.
    """
    grouped_BGCTF = map_BCTF.unflatten(1, (norm.num_groups, -1))
    real_B11T1 = mask_B1T1[:, None].to(map_BCTF.dtype)
    count_B1111 = real_B11T1.sum((1, 2, 3, 4), keepdim=True) * grouped_BGCTF.shape[2] * grouped_BGCTF.shape[4]
    count_B1111 = count_B1111.clamp(min=1)
    mean_BG111 = (grouped_BGCTF * real_B11T1).sum((2, 3, 4), keepdim=True) / count_B1111
    centred_BGCTF = grouped_BGCTF - mean_BG111
    variance_BG111 = ((centred_BGCTF * real_B11T1) ** 2).sum((2, 3, 4), keepdim=True) / count_B1111
    normal_BCTF = (centred_BGCTF * torch.rsqrt(variance_BG111 + norm.eps)).flatten(1, 2)
    assert norm.weight is not None and norm.bias is not None
    return normal_BCTF * norm.weight[:, None, None] + norm.bias[:, None, None]


def spec_augment(values_BTF: Tensor, mask_BT: Tensor) -> Tensor:
    """Hide two random bands of mels and two random spans of time of each clip behind the clip's mean.

    A band is at most a fifth of the mels wide, a span at most a tenth of the clip long. Drawn from torch's generator.

    Args:
        values_BTF: Spectrograms.
        mask_BT: True where a frame is real.

    Reference: Park et al. 2019, "SpecAugment", section 2 (no time warping).
    """
    num_mels = values_BTF.shape[2]
    length_B = mask_BT.sum(1)
    hidden_BTF = torch.zeros_like(values_BTF, dtype=torch.bool)
    places_T = torch.arange(values_BTF.shape[1], device=values_BTF.device)
    places_F = torch.arange(num_mels, device=values_BTF.device)
    for _ in range(NUM_MASKS):
        hidden_BTF |= _spans(torch.full_like(length_B, num_mels), MEL_SHARE, places_F)[:, None, :]
        hidden_BTF |= _spans(length_B, TIME_SHARE, places_T)[:, :, None]
    real_BT1 = mask_BT[..., None].to(values_BTF.dtype)
    total_B11 = (values_BTF * real_BT1).sum((1, 2), keepdim=True)
    mean_B11 = total_B11 / (length_B[:, None, None] * num_mels).clamp(min=1)
    return torch.where(hidden_BTF, mean_B11, values_BTF)


def _spans(size_B: Tensor, share: float, places_X: Tensor) -> Tensor:
    """One random span within the first ``size_B`` places of each row, [B, X] bool."""
    draws_2B = torch.rand(2, len(size_B), device=size_B.device)
    width_B = (draws_2B[0] * (share * size_B + 1)).floor()
    start_B = (draws_2B[1] * (size_B - width_B + 1)).floor()
    return (places_X >= start_B[:, None]) & (places_X < (start_B + width_B)[:, None])


def build_scratch_audio(config: dict[str, Any]) -> ScratchAudioEncoder:
    """Rebuild from ``config()``."""
    return ScratchAudioEncoder(config["num_mels"], config["width"], config["spec_augment"])


ENCODERS.add("scratch-audio", build_scratch_audio)
