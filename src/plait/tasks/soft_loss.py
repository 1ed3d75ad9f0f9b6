"""Variants of cross-entropy for classes and label sets: label smoothing and the focal loss.

With p_c the probability of class c and y the right one, smoothing e and focus g:

    classes   (1 - p_y)^g * [(1 - e) (-log p_y) + e / C sum_c -log p_c]
    labels    mean_c (1 - p_t)^g * BCE(p_c, (1 - e) t_c + e / 2),   p_t = p_c where t_c = 1, else 1 - p_c

Reference: Szegedy et al. 2016 (Rethinking the Inception Architecture), section 7; Lin, Goyal, Girshick, He and Dollar
2017 (Focal Loss for Dense Object Detection), equation 4. Class-balanced weights: Cui, Jia, Lin, Song and Belongie 2019
(Class-Balanced Loss Based on Effective Number of Samples), equation 2.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def soft_class_loss(
    logits_BC: Tensor, target_B: Tensor, weight_C: Tensor | None, *, smoothing: float = 0.0, focus: float = 0.0
) -> Tensor:
    """Loss of each row [B] of classes."""
    loss_B = functional.cross_entropy(logits_BC, target_B, weight=weight_C, reduction="none", label_smoothing=smoothing)
    if focus == 0:
        return loss_B
    right_B = torch.softmax(logits_BC, 1).gather(1, target_B[:, None]).squeeze(1)
    return loss_B * (1.0 - right_B).clamp(min=1e-7) ** focus


def soft_label_loss(
    logits_BC: Tensor, target_BC: Tensor, weight_C: Tensor | None, *, smoothing: float = 0.0, focus: float = 0.0
) -> Tensor:
    """Loss of each row [B] of a label set."""
    smoothed_BC = target_BC * (1.0 - smoothing) + smoothing / 2
    loss_BC = functional.binary_cross_entropy_with_logits(logits_BC, smoothed_BC, pos_weight=weight_C, reduction="none")
    if focus > 0:
        proba_BC = torch.sigmoid(logits_BC)
        right_BC = torch.where(target_BC > 0.5, proba_BC, 1.0 - proba_BC)
        loss_BC = loss_BC * (1.0 - right_BC).clamp(min=1e-7) ** focus
    return loss_BC.mean(1)


def effective_number(count: np.ndarray, beta: float) -> np.ndarray:
    """(1 - beta^n) / (1 - beta): how many rows n rows are worth, beta in (0, 1).

    Example:
        >>> effective_number(np.array([1, 2]), 0.5).tolist()
        [1.0, 1.5]
    """
    found: np.ndarray = (1.0 - beta ** np.maximum(count, 1).astype(np.float64)) / (1.0 - beta)
    return found
