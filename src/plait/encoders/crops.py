"""Pictures that come with crops of themselves: the vector is the mean over all of them, the tokens are the whole's.

In: ``pixel_values`` [B, K, 3, H, W], the whole picture first (:class:`plait.processors.ImageProcessor` with ``crops``).
Averaging what a frozen network says of several views of a picture lifts what is read of it (ten-crop testing,
Krizhevsky, Sutskever and Hinton 2012), at K times the encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from plait.encoders.base import Encoded

Forward = Callable[..., Encoded]


def mean_of_crops(forward: Forward) -> Forward:
    """A ``forward`` of pictures [B, 3, H, W] that takes pictures with crops [B, K, 3, H, W] too."""

    @wraps(forward)
    def over_crops(self: Any, pixel_values: Tensor | None = None, **others: Tensor) -> Encoded:
        if pixel_values is None:  # the side of a model of two that reads texts or sounds
            return forward(self, **others)
        if pixel_values.ndim != 5:
            return forward(self, pixel_values=pixel_values, **others)
        views = [forward(self, pixel_values=view, **others) for view in pixel_values.unbind(1)]
        mean_BD = torch.stack([view.vector_BD for view in views]).mean(0)
        return Encoded(mean_BD, views[0].tokens_BTD, views[0].mask_BT)

    return over_crops
