"""What a network is given of a number x (standardised, 0 where missing) with its missing flag: one token a column.

    linear      w x + u flag + b
    piecewise   W e(x) + u flag + b,           e_t(x) = (x - b_{t-1}) / (b_t - b_{t-1}), cut to [0, 1]
    periodic    ReLU(W p(x) + b) + u flag,     p(x) = [sin 2 pi c_1 x, .., cos 2 pi c_1 x, ..]

b_0 < .. < b_T are quantiles of the training rows; the first bin is not cut below and the last not above, so that values
beyond the training range stay apart. c_k start as N(0, sigma) and are learned. Weights are a column's own.

Reference: Gorishniy, Rubachev and Babenko 2022 (On Embeddings for Numerical Features in Tabular Deep Learning):
piecewise linear encoding with bins by quantiles, and periodic activations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NUM_BINS = 16
NUM_WAVES = 16
SIGMA = 0.3


class PiecewiseNumbers(nn.Module):
    """Piecewise linear encoding and a linear map a column.

    Args:
        num_numeric: Columns F.
        width: Width D of a token.
        num_bins: Most bins T of a column.

    Attributes:
        low_FT: Lower edge of each bin.
        size_FT: Its size; infinite where a column has fewer bins.
    """

    low_FT: Tensor  # noqa: N815  shape letters
    size_FT: Tensor  # noqa: N815
    last_F1: Tensor  # noqa: N815

    def __init__(self, num_numeric: int, width: int, num_bins: int = NUM_BINS) -> None:
        super().__init__()
        self.register_buffer("low_FT", torch.zeros(num_numeric, num_bins))
        self.register_buffer("size_FT", torch.full((num_numeric, num_bins), math.inf))
        self.register_buffer("last_F1", torch.zeros(num_numeric, 1, dtype=torch.int64))
        self.size_FT[:, 0] = 1.0
        self.weight_FTD = nn.Parameter(torch.randn(num_numeric, num_bins, width) * num_bins**-0.5)
        self.missing_FD = nn.Parameter(torch.randn(num_numeric, width) * 0.5)
        self.bias_FD = nn.Parameter(torch.randn(num_numeric, width) * 0.1)

    @torch.no_grad()
    def fit(self, numeric_NF: np.ndarray, missing_NF: np.ndarray) -> None:
        """Take the edges of the bins from training rows: quantiles, each different one once."""
        num_bins = self.low_FT.shape[1]
        for column in range(numeric_NF.shape[1]):
            there = numeric_NF[missing_NF[:, column] == 0, column].astype(np.float64)
            edges = np.unique(np.quantile(there, np.linspace(0, 1, num_bins + 1))) if len(there) else np.zeros(0)
            if len(edges) < 2:
                continue  # a constant column: one bin from 0 to 1 that is not cut
            count = len(edges) - 1
            self.low_FT[column, :count] = torch.from_numpy(edges[:-1])
            self.size_FT[column, :count] = torch.from_numpy(np.diff(edges))
            self.last_F1[column] = count - 1

    def encoded(self, numeric_BF: Tensor) -> Tensor:
        """e(x) [B, F, T]; bins that a column lacks are 0."""
        place_BFT = (numeric_BF[..., None] - self.low_FT) / self.size_FT
        number_T = torch.arange(place_BFT.shape[-1], device=place_BFT.device)
        above_BFT = torch.where(number_T == 0, place_BFT, place_BFT.clamp(min=0.0))
        return torch.where(number_T == self.last_F1, above_BFT, above_BFT.clamp(max=1.0))

    def forward(self, numeric_BF: Tensor, missing_BF: Tensor) -> Tensor:
        """Tokens [B, F, D]."""
        values_BFT = torch.where(missing_BF[..., None] > 0, 0.0, self.encoded(numeric_BF))
        tokens_BFD = torch.einsum("bft,ftd->bfd", values_BFT, self.weight_FTD)
        return tokens_BFD + missing_BF[..., None] * self.missing_FD + self.bias_FD


class PeriodicNumbers(nn.Module):
    """Sines and cosines at learned frequencies, and a linear map with ReLU a column.

    Args:
        num_numeric: Columns F.
        width: Width D of a token.
        num_waves: Frequencies K of a column.
        sigma: Standard deviation that the frequencies start with.
    """

    def __init__(self, num_numeric: int, width: int, num_waves: int = NUM_WAVES, sigma: float = SIGMA) -> None:
        super().__init__()
        self.frequency_FK = nn.Parameter(torch.randn(num_numeric, num_waves) * sigma)
        self.weight_FKD = nn.Parameter(torch.randn(num_numeric, 2 * num_waves, width) * (2 * num_waves) ** -0.5)
        self.missing_FD = nn.Parameter(torch.randn(num_numeric, width) * 0.5)
        self.bias_FD = nn.Parameter(torch.randn(num_numeric, width) * 0.1)

    def encoded(self, numeric_BF: Tensor) -> Tensor:
        """p(x) [B, F, 2 K]."""
        angle_BFK = 2 * math.pi * self.frequency_FK * numeric_BF[..., None]
        return torch.cat([torch.sin(angle_BFK), torch.cos(angle_BFK)], dim=-1)

    def forward(self, numeric_BF: Tensor, missing_BF: Tensor) -> Tensor:
        """Tokens [B, F, D]."""
        values_BFK = torch.where(missing_BF[..., None] > 0, 0.0, self.encoded(numeric_BF))
        tokens_BFD = torch.relu(torch.einsum("bfk,fkd->bfd", values_BFK, self.weight_FKD) + self.bias_FD)
        return tokens_BFD + missing_BF[..., None] * self.missing_FD


NUMBERS: dict[str, Any] = {"piecewise": PiecewiseNumbers, "periodic": PeriodicNumbers}
