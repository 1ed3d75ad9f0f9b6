"""Ready vectors, standardised.

In: what ``VectorProcessor`` gives. Out: the vectors with mean 0 and spread 1 in every place as tokens, and their mean
as the vector. Nothing is learned by gradient; mean and standard deviation come from training rows and are saved with
the model. Any projection is the fusion's.

Fusions layer-normalise what they get, each row by itself. Of a thousand numbers that takes two away, the mean and the
size; of three it leaves one, and of one nothing. So narrow vectors x come out as [x, -x, 1, -1], whose mean is 0 and
whose size stays readable from the ones: after any layer norm everything is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.scratch import masked_mean

NARROW = 64
SMALLEST = (
    1e-6  # of the largest size in a place: rounding gives a constant float32 place a standard deviation of about 1e-8
)


class VectorEncoder(Encoder):
    """Subtract the mean and divide by the spread.

    Args:
        width: Numbers in each vector, D. Below 64 what comes out is 2 D + 2 wide, else D.

    Example:
        >>> VectorEncoder(1)(torch.tensor([[[3.0]]]), torch.tensor([[True]])).vector_BD.tolist()
        [[3.0, -3.0, 1.0, -1.0]]
    """

    mean_D: Tensor  # noqa: N815  shape letters
    spread_D: Tensor  # noqa: N815

    is_pretrained = False
    order = "sequence"

    def __init__(self, width: int) -> None:
        super().__init__({"type": "vector", "width": width})
        self.is_narrow = width < NARROW
        self.vector_dim = self.token_dim = 2 * width + 2 if self.is_narrow else width
        self.model = nn.Identity()
        self.register_buffer("mean_D", torch.zeros(width))
        self.register_buffer("spread_D", torch.ones(width))

    @torch.no_grad()
    def fit(self, vectors: Sequence[np.ndarray[Any, Any]]) -> None:
        """Learn mean and standard deviation from vectors [D] or sequences [T, D] of training rows; constant places keep
        spread 1.

        Example:
            >>> encoder = VectorEncoder(1)
            >>> encoder.fit([np.array([1.0]), np.array([[3.0], [5.0]])])
            >>> encoder.mean_D.item()
            3.0
        """
        if not len(vectors):
            return
        stacked_ND = np.concatenate([v.reshape(-1, v.shape[-1]) for v in vectors]).astype(np.float64)
        spread_D = stacked_ND.std(axis=0)
        constant_D = spread_D <= SMALLEST * np.abs(stacked_ND).max(axis=0)
        self.mean_D.copy_(torch.from_numpy(stacked_ND.mean(axis=0)))
        self.spread_D.copy_(torch.from_numpy(np.where(constant_D, 1.0, spread_D)))

    def forward(self, values_BTD: Tensor, mask_BT: Tensor) -> Encoded:
        """Encode vectors [B, T, D] with their mask [B, T]."""
        tokens_BTD = (values_BTD - self.mean_D) / self.spread_D
        if self.is_narrow:
            ones_BT1 = torch.ones_like(tokens_BTD[..., :1])
            tokens_BTD = torch.cat([tokens_BTD, -tokens_BTD, ones_BT1, -ones_BT1], dim=-1)
        tokens_BTD = torch.where(mask_BT[..., None], tokens_BTD, 0.0)
        return Encoded(masked_mean(tokens_BTD, mask_BT), tokens_BTD, mask_BT)


def build_vector(config: dict[str, Any]) -> VectorEncoder:
    """Rebuild from ``config()``."""
    return VectorEncoder(int(config["width"]))


ENCODERS.add("vector", build_vector)
