"""Features of frozen vectors, each brought to mean 0 and standard deviation 1 over the training rows.

In: encoded modalities. Out: the same with scaled vectors; tokens stay as they are. Row layer norm, which fusions apply
by themselves, takes the mean and the size of a whole row; where a few features are a hundred times as large as the
others (frozen encoders have such), these rule every row before and after it. Nothing is learned by gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FARTHEST = 10.0  # standard deviations; what lies beyond is cut, so that one odd row cannot rule the others
SMALLEST = 1e-6  # of the largest size of a feature: below it the feature is constant


class FeatureScaler(nn.Module):
    """z = clip((x - mean) / std, -10, 10), feature by feature; constant features give 0.

    Args:
        width: Features D.

    Example:
        >>> scaler = FeatureScaler(1)
        >>> scaler.fit(torch.tensor([[1.0], [3.0]]))
        >>> scaler(torch.tensor([[5.0]])).tolist()
        [[3.0]]
    """

    mean_D: Tensor  # noqa: N815  shape letters
    factor_D: Tensor  # noqa: N815

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", torch.zeros(width))
        self.register_buffer("factor_D", torch.ones(width))

    @torch.no_grad()
    def fit(self, vectors_ND: Tensor) -> None:
        """Learn from the vectors of training rows that have the modality; of none nothing is learned."""
        if len(vectors_ND) == 0:
            return
        wide_ND = vectors_ND.double()
        std_D = wide_ND.std(dim=0, correction=0)
        is_constant_D = std_D <= SMALLEST * wide_ND.abs().amax(dim=0)
        self.mean_D.copy_(wide_ND.mean(dim=0))
        self.factor_D.copy_(torch.where(is_constant_D, 0.0, 1.0 / std_D.clamp(min=1e-30)))

    def forward(self, vector_BD: Tensor) -> Tensor:
        """Scale [B, D]."""
        return ((vector_BD - self.mean_D) * self.factor_D).clamp(-FARTHEST, FARTHEST)
