"""Two rows in one: how much of which other row each row takes, the same for all its modalities, and pictures cut anew.

One share l and one order of the rows a batch. Vectors are blended by them (:mod:`plait.fusion.mixup`), of pictures a
box of the other row is pasted in and l becomes the exact share of the pixels that stay; losses are mixed by that l,
which for cross-entropy is the loss of the soft target and for squares that of the mixed number, but for a constant. A
row that has no modality in common with its partner is its own partner, so that no target is mixed where no input is.

Reference: Zhang et al. 2018 (mixup), equation 1; Yun et al. 2019 (CutMix), equations 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Box:
    """Rows ``top`` to before ``bottom`` and columns ``left`` to before ``right`` of a picture."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Pixels in it."""
        return (self.bottom - self.top) * (self.right - self.left)


def draw_partners(present_BM: Tensor) -> Tensor:
    """The other row of each row [B], a random order; a row with nothing in common with its partner is its own.

    Args:
        present_BM: What is there, bool.
    """
    order_B = torch.randperm(len(present_BM), device=present_BM.device)
    alike_B = (present_BM & present_BM[order_B]).any(dim=1)
    return torch.where(alike_B, order_B, torch.arange(len(present_BM), device=present_BM.device))


def draw_share(alpha: float) -> Tensor:
    """How much of a row stays, a scalar from Beta(alpha, alpha)."""
    return torch.distributions.Beta(alpha, alpha).sample()


def blend(values: Tensor, other_B: Tensor, share: Tensor, both_B: Tensor) -> Tensor:
    """Values [B, ...] blended with those of other rows, where both rows have them.

    Example:
        >>> two = torch.tensor([[0.0], [4.0]])
        >>> blend(two, torch.tensor([1, 0]), torch.tensor(0.75), torch.tensor([True, False])).tolist()
        [[1.0], [4.0]]
    """
    both = both_B.view(-1, *[1] * (values.dim() - 1))
    return torch.where(both, share * values + (1.0 - share) * values[other_B], values)


def draw_box(height: int, width: int, share: float) -> Box:
    """A box of about 1 - share of a picture around a random centre, cut at the edges.

    Args:
        height: Of the picture, in pixels.
        width: Of it.
        share: Share of the picture that stays, 0 to 1.
    """
    side = (1.0 - share) ** 0.5
    half_height, half_width = int(0.5 * height * side), int(0.5 * width * side)
    y, x = int(torch.randint(height, (1,))), int(torch.randint(width, (1,)))
    return Box(
        max(0, y - half_height), min(height, y + half_height), max(0, x - half_width), min(width, x + half_width)
    )


def share_outside(box: Box, height: int, width: int) -> float:
    """The exact share of a picture's pixels that lie outside a box.

    Example:
        >>> share_outside(Box(0, 2, 0, 4), 4, 8)
        0.75
    """
    return 1.0 - box.area / (height * width)


def paste(pixels_BCHW: Tensor, other_B: Tensor, box: Box, both_B: Tensor) -> Tensor:
    """Pictures with a box out of other rows' pictures, where both rows have one."""
    pasted = pixels_BCHW.clone()
    inside = slice(box.top, box.bottom), slice(box.left, box.right)
    pasted[both_B, :, *inside] = pixels_BCHW[other_B[both_B]][:, :, *inside]
    return pasted
