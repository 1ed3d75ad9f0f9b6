"""Contrastive losses: right pairs of a batch pulled together, its other pairs pushed apart. Pure functions.

In: unit vectors of two sides, row i of one belonging to row i of the other, and which rows are no negatives of each
other (captions of one photo, the same item twice). Out: a scalar. Nothing here is learned or gathered; the heads own
the temperature.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plait.fusion.base import FusionOutput

NEVER = -1e9


def sides(fused: FusionOutput) -> tuple[Tensor, Tensor]:
    """The two unit vectors of each row [B, D]; zeros where a side is missing."""
    assert fused.tokens is not None
    return fused.tokens[:, 0], fused.tokens[:, 1]


def apart(unit_BMD: Tensor, copies: int, fixed: int = 0) -> Tensor:
    """Unit vectors of each trained copy of the towers [B, M, K, D / copies], of those that stand side by side.

    Args:
        unit_BMD: All copies side by side, of length 1 together.
        copies: How many stand there, all of one length unless some are fixed.
        fixed: How many of these, the last ones, are not trained; K is the number of the others.
    """
    apart_BMKD = unit_BMD.unflatten(-1, (copies, -1))
    if fixed:  # whose share of the length may be another
        return functional.normalize(apart_BMKD[..., : copies - fixed, :], dim=-1)
    return apart_BMKD * copies**0.5


def same_items(group_B: Tensor, key_BM: Tensor) -> Tensor:
    """Which rows are no negatives of each other [B, B]: of one group, or with an item in common; diagonal False."""
    same_BB = group_B[:, None] == group_B[None]
    for m in range(key_BM.shape[1]):
        same_BB = same_BB | (key_BM[:, m, None] == key_BM[None, :, m])
    return same_BB.fill_diagonal_(False)


def contrastive_loss(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of scaled cosines (InfoNCE): each row finds its own other side, a scalar.

    Args:
        left_BD: Unit vectors of one side.
        right_BD: Unit vectors of the other.
        same_BB: Pairs of rows to leave out of the negatives.
        scale: One over the temperature.

    Reference: van den Oord, Li, Vinyals 2018, eq. 4; symmetric as in Radford et al. 2021 (CLIP), figure 3.
    """
    logits_BB = (scale * left_BD @ right_BD.T).masked_fill(same_BB, NEVER)
    truth_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (functional.cross_entropy(logits_BB, truth_B) + functional.cross_entropy(logits_BB.T, truth_B)) / 2


def grouped_contrastive_loss(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy with every row of the same item as a further right answer, a scalar.

    The mean over the right answers of the log share of each, where all rows are in the denominator.

    Args:
        left_BD: Unit vectors of one side.
        right_BD: Unit vectors of the other.
        same_BB: Pairs of rows that are right answers to each other besides their own; diagonal False.
        scale: One over the temperature.

    Reference: Khosla et al. 2020 (SupCon), eq. 2, the sum outside the logarithm; Yang et al. 2022 (UniCL), eq. 3-4.
    """
    logits_BB = scale * left_BD @ right_BD.T
    right_BB = same_BB | torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
    share_BB = right_BB / right_BB.sum(1, keepdim=True)
    there = (logits_BB.log_softmax(1) * share_BB).sum(1).mean()
    back = (logits_BB.T.log_softmax(1) * share_BB).sum(1).mean()
    return -(there + back) / 2


def sigmoid_loss(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Every pair of the batch as its own yes-or-no question, summed and divided by the number of rows, a scalar.

    Args:
        left_BD: Unit vectors of one side.
        right_BD: Unit vectors of the other.
        same_BB: Pairs of rows to leave out.
        scale: One over the temperature.
        bias: Added to every logit; it starts low, for nearly all pairs are wrong ones.

    Reference: Zhai, Mustafa, Kolesnikov, Beyer 2023 (SigLIP), eq. 1 and algorithm 1.
    """
    logits_BB = scale * left_BD @ right_BD.T + bias
    sign_BB = 2 * torch.eye(len(logits_BB), dtype=logits_BB.dtype, device=logits_BB.device) - 1
    return -functional.logsigmoid(sign_BB * logits_BB).masked_fill(same_BB, 0.0).sum() / len(logits_BB)


def hardest_triplet_loss(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, margin: float) -> Tensor:
    """Hinge between the right pair and the hardest wrong one of the batch, both ways, mean over rows, a scalar.

    A row for which the batch holds no wrong one costs nothing.

    Args:
        left_BD: Unit vectors of one side.
        right_BD: Unit vectors of the other.
        same_BB: Pairs of rows to leave out of the negatives.
        margin: By how much the right cosine shall be larger, in [0, 2].

    Reference: Faghri, Fleet, Kiros, Fidler 2018 (VSE++), eq. 6.
    """
    cosine_BB = left_BD @ right_BD.T
    right_B = cosine_BB.diagonal()
    own_BB = torch.eye(len(cosine_BB), dtype=torch.bool, device=cosine_BB.device)
    wrong_BB = cosine_BB.masked_fill(same_BB | own_BB, NEVER)
    there = functional.relu(margin + wrong_BB.max(1).values - right_B).mean()
    back = functional.relu(margin + wrong_BB.max(0).values - right_B).mean()
    return there + back
