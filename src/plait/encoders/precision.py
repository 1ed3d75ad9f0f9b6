"""Lower precision while training: encoders and language models multiply their matrices in bfloat16.

It changes nothing else: weights, networks of plain numbers, fusion, heads and losses stay float32, and what is done
outside training is done as without it.
"""

from __future__ import annotations

import torch
from torch import nn


def lower_precision(module: nn.Module, device: torch.device, *, exact: bool = False) -> torch.autocast:
    """The context for the large networks inside ``module``: lower where it trains and ``compute_dtype`` says so.

    Args:
        module: Its ``compute_dtype`` is ``torch.float32`` (nothing is changed) or ``torch.bfloat16``.
        device: Where it computes.
        exact: Keep float32 all the same, for networks of plain numbers.

    Reference: Micikevicius et al. 2018 (mixed precision); Kalamkar et al. 2019 (bfloat16 needs no loss scaling).
    """
    enabled = not exact and module.training and getattr(module, "compute_dtype", torch.float32) == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
