"""Position codes: where a token stands in its sequence or grid, for fusions that read tokens as a set.

Attention and means do not see order: without a code "A, then B" is "B, then A". A code is added to the tokens of every
modality whose encoder does not tell the place itself (``Encoder.order``). Sets have none. In: which tokens are real.
Out: codes [B, T, width]. A place counts real tokens only, and is measured against its own row alone: neither padding
nor the rest of the batch changes a code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

NUM_BANDS = 16
MAX_FREQUENCY = 32.0  # half of the sampling rate mu: places of a row are told apart up to about 64 a dimension


def places(keep_BT: Tensor, order: str) -> tuple[Tensor, Tensor]:
    """Where each token stands [B, T, d], and how many places there are [B, 1, d]; d is 1 for a sequence, 2 for a grid.

    A grid is square and lies row by row; real tokens that fill no square are one line.

    Args:
        keep_BT: Which tokens are real.
        order: "sequence" or "grid".
    """
    place_BT = (keep_BT.long().cumsum(1) - 1).clamp(min=0)
    count_B1 = keep_BT.sum(1, keepdim=True).clamp(min=1)
    if order == "sequence":
        return place_BT[..., None], count_B1[..., None]
    side_B1 = count_B1.double().sqrt().round().long()
    columns_B1 = torch.where(side_B1**2 == count_B1, side_B1, count_B1)
    place_BT2 = torch.stack([place_BT // columns_B1, place_BT % columns_B1], dim=2)
    return place_BT2, torch.stack([count_B1 // columns_B1, columns_B1], dim=2)


def sinusoids(place_BT: Tensor, width: int) -> Tensor:
    """PE[i, 2j] = sin(i / 10000^(2j / width)), PE[i, 2j + 1] = the cosine of the same, [B, T, width].

    Reference: Vaswani et al. 2017, section 3.5; Tsai et al. 2019 (MulT), appendix A.
    """
    rate_J = torch.exp(-math.log(10000.0) * torch.arange(0, width, 2, device=place_BT.device).double() / width)
    angle_BTJ = place_BT[..., None].double() * rate_J
    return torch.stack([angle_BTJ.sin(), angle_BTJ.cos()], dim=3).flatten(2)[..., :width]


def fourier_features(place_BTd: Tensor, count_B1d: Tensor) -> Tensor:
    """[sin(f_k pi x), cos(f_k pi x), x] of each dimension, x in [-1, 1] along the row, [B, T, d (2 K + 1)].

    The K = 16 frequencies f_k lie evenly between 1 and mu / 2 = 32.

    Reference: Jaegle et al. 2021 (Perceiver), section 3.2.
    """
    x_BTd = 2.0 * place_BTd / (count_B1d - 1).clamp(min=1) - 1.0
    bands_K = torch.linspace(1.0, MAX_FREQUENCY, NUM_BANDS, device=place_BTd.device, dtype=torch.float64)
    angle_BTdK = math.pi * x_BTd[..., None].double() * bands_K
    return torch.cat([angle_BTdK.sin(), angle_BTdK.cos(), x_BTd[..., None]], dim=3).flatten(2)


class Sinusoids(nn.Module):
    """Fixed sinusoidal codes; of a grid the first half of the width tells the row, the second the column.

    Args:
        order: "sequence" or "grid".
        width: Width of the tokens.
    """

    def __init__(self, order: str, width: int) -> None:
        super().__init__()
        self.order, self.width = order, width

    def forward(self, keep_BT: Tensor) -> Tensor:
        """Codes [B, T, width], float64."""
        place_BTd, _ = places(keep_BT, self.order)
        if self.order == "sequence":
            return sinusoids(place_BTd[..., 0], self.width)
        half = self.width // 2
        return torch.cat([sinusoids(place_BTd[..., 0], half), sinusoids(place_BTd[..., 1], self.width - half)], dim=2)


class FourierCodes(nn.Module):
    """Fourier features through a linear map: what a projection of [token; features] adds to that of the token.

    Args:
        order: "sequence" or "grid".
        width: Width of the tokens.
    """

    def __init__(self, order: str, width: int) -> None:
        super().__init__()
        self.order = order
        dimensions = 1 if order == "sequence" else 2
        self.linear = nn.Linear(dimensions * (2 * NUM_BANDS + 1), width, bias=False)

    def forward(self, keep_BT: Tensor) -> Tensor:
        """Codes [B, T, width]."""
        features_BTF = fourier_features(*places(keep_BT, self.order))
        codes_BTD: Tensor = self.linear(features_BTF.to(self.linear.weight.dtype))
        return codes_BTD
