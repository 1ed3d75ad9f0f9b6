"""Power normalisation: the signed square root and the L2 norm that follow a bilinear product.

Products of two vectors are heavy-tailed; the square root draws the tails in, and the norm takes away what is left of
the scale. Two changes keep training sane: the root has a bounded slope at zero (the plain one has an infinite slope
there), and the norm is sqrt(width) instead of 1, so that a feature has mean square one however wide the vector is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

ROOT_EPS = 1e-3  # the slope of the root at zero is 1 / sqrt(ROOT_EPS), about 32
NORM_EPS = 1e-5  # as in a layer norm


def power_normalise(product_BD: Tensor) -> Tensor:
    """Return sqrt(D) u / ||u|| with u = z / sqrt(|z| + eps), which is about sign(z) sqrt|z|.

    Args:
        product_BD: Products z [B, D], of any scale; a row of zeros stays zero.
    """
    root_BD = product_BD / torch.sqrt(product_BD.abs() + ROOT_EPS)
    return F.rms_norm(root_BD, root_BD.shape[-1:], eps=NORM_EPS)
