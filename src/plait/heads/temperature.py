"""The learned temperature of a contrastive loss: the logarithm of its inverse, with a ceiling.

A plain clamp in the forward pass has no gradient above the ceiling: a parameter that got there once stays for good. So
the parameter itself is brought back after each optimizer step, and a forward pass that meets one above (an old model, a
step of somebody else's loop) takes the ceiling's value and hands the gradient through.

Reference: Radford et al. 2021 (CLIP), section 2.5: the temperature is clipped so that logits are scaled by 100 at most.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import Parameter

MAX_LOG_SCALE = math.log(100.0)


def inverse_temperature(log_scale: Tensor) -> Tensor:
    """exp(log_scale), at most 100, with a gradient everywhere."""
    excess = (log_scale - MAX_LOG_SCALE).clamp(min=0.0).detach()
    return (log_scale - excess).exp()


@torch.no_grad()
def keep_below_ceiling(log_scale: Parameter) -> None:
    """Bring the parameter back to the ceiling, after an optimizer step."""
    log_scale.clamp_(max=MAX_LOG_SCALE)
