"""Modality dropout: in training, modalities of a row are hidden at random, so that the model learns to do without.

Rates are one a modality, or one for whole rows; a schedule says which share of them is in force in an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plait.registry import unknown_name

SCHEDULES = ("constant", "linear")


def hide_modalities(present_BM: Tensor, rates_M: Sequence[float]) -> Tensor:
    """Hide each modality of each row with its rate, independently; a row that would lose all keeps all, [B, M].

    Args:
        present_BM: What is there, bool.
        rates_M: Probability of hiding each modality, in [0, 1).

    Reference: Neverova, Wolf, Taylor, Nebout 2016 (ModDrop).
    """
    if present_BM.shape[1] < 2 or not any(rates_M):
        return present_BM
    limits_M = torch.tensor(list(rates_M), device=present_BM.device)
    kept_BM = present_BM & (torch.rand(present_BM.shape, device=present_BM.device) >= limits_M)
    return torch.where(kept_BM.any(1, keepdim=True), kept_BM, present_BM)


def keep_subsets(present_BM: Tensor, rate: float) -> Tensor:
    """Cut rows down to a random part of their modalities, [B, M].

    A row is cut with probability ``rate``; how many of its n modalities it keeps is drawn evenly from 1 to n - 1, and
    which ones is drawn at random. So a model of many modalities meets each one alone, which it hardly ever does when
    each is hidden for itself: at a rate of 0.1, four modalities leave a row with a single one in 0.4% of the cases.

    Args:
        present_BM: What is there, bool.
        rate: Probability that a row is cut, in [0, 1).

    Reference: the idea of hiding whole modalities is of Neverova, Wolf, Taylor, Nebout 2016 (ModDrop); the even draw
    of the number that is left is ours (docs/decisions/0013-modality-dropout.md).
    """
    if present_BM.shape[1] < 2 or not rate:
        return present_BM
    device = present_BM.device
    count_B = present_BM.sum(1)
    cut_B = (torch.rand(len(present_BM), device=device) < rate) & (count_B > 1)
    spare_B = (count_B - 1).clamp(min=1)
    kept_B = 1 + (torch.rand(len(present_BM), device=device) * spare_B).long().clamp(max=spare_B - 1)
    place_BM = torch.rand(present_BM.shape, device=device).masked_fill(~present_BM, 2.0).argsort(1).argsort(1)
    return torch.where(cut_B[:, None], present_BM & (place_BM < kept_B[:, None]), present_BM)


def share_of_rate(schedule: str, epoch: int, epochs: int) -> float:
    """Which share of the rates is in force in an epoch, 0 to 1.

    "constant": all of it. "linear": nothing in the first epoch, all in the last, evenly in between (all, where there is
    one epoch only).

    Args:
        schedule: "constant" or "linear".
        epoch: Number of the epoch, from 0.
        epochs: Epochs in all.

    Example:
        >>> [share_of_rate("linear", e, 5) for e in range(5)]
        [0.0, 0.25, 0.5, 0.75, 1.0]

    Raises:
        ValueError: An unknown schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(unknown_name("train.modality_dropout_schedule", schedule, list(SCHEDULES)))
    return 1.0 if schedule == "constant" or epochs < 2 else min(1.0, epoch / (epochs - 1))
