"""Late fusion by averaging: each modality answers alone, and the answers are averaged, evenly or with learned weights.

Classes are averaged as probabilities (a linear opinion pool), and the fused logits are the logarithm of that average.
Labels are averaged as log-odds, numbers as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.fusion.base import FUSIONS, FusionInfo, masked_softmax
from plait.fusion.late import LateFusion


class LateMeanFusion(LateFusion):
    """p = (1 / n) sum_m softmax(f_m(x_m)) over the n modalities present; fused = log p.

    Labels: the mean of the log-odds f_m(x_m). A number: the mean of f_m(x_m). A row with nothing present is answered
    with equal probabilities, or with zero (the mean of training for a number).

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: the baseline every fusion must beat; modalities that tell the same story independently; any of them
    may be missing.
    Relatives: ``late_weighted`` learns the weights; ``product_of_experts`` averages logarithms, so one modality that is
    sure a class is wrong has a veto.
    Reference: Kittler, Hatef, Duin, Matas 1998 (the sum rule).
    """

    info = FusionInfo(
        "late_mean",
        "Kittler, Hatef, Duin, Matas 1998",
        "p = mean_m softmax(f_m(x_m)) over what is present; h = log p",
        needs_tokens=False,
    )
    additive_scale = "probabilities"

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Average the answers."""
        weights_BM = even_weights(present_BM, logits_BMC.dtype)
        return average_answers(logits_BMC, weights_BM, present_BM, self.outputs.kind), weights_BM


class LateWeightedFusion(LateFusion):
    """p = sum_m w_m softmax(f_m(x_m)), w = softmax(a) over the modalities present; fused = log p.

    Labels: the weighted mean of the log-odds f_m(x_m). A number: the weighted mean of f_m(x_m). Alone, a modality has
    weight 1 and a_1 is not used. With nothing present: as ``late_mean``.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own; the weights learn from it in any case.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: modalities of unequal worth. The weights are learned on the rows that the predictors learn from, so a
    modality that overfits is trusted too much; ``late_stacking`` learns from validation rows.
    Relatives: ``late_mean`` (equal weights), ``late_stacking`` (weights for each class).
    Reference: Kittler, Hatef, Duin, Matas 1998; Stone 1961 (the linear opinion pool).
    """

    info = FusionInfo(
        "late_weighted",
        "Stone 1961; Kittler, Hatef, Duin, Matas 1998",
        "p = sum_m w_m softmax(f_m(x_m)), w = softmax(a) over what is present; h = log p",
        needs_tokens=False,
    )
    additive_scale = "probabilities"

    def add_parts(self) -> None:
        """One score a modality."""
        self.logits_M = nn.Parameter(torch.zeros(len(self.dims)))

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Average the answers with the weights."""
        weights_BM = masked_softmax(self.logits_M, present_BM)
        return average_answers(logits_BMC, weights_BM, present_BM, self.outputs.kind), weights_BM


def even_weights(present_BM: Tensor, dtype: torch.dtype) -> Tensor:
    """The same weight for all that is present [B, M], sum 1; zeros where nothing is."""
    there_BM = present_BM.to(dtype)
    return there_BM / there_BM.sum(1, keepdim=True).clamp(min=1.0)


def average_answers(logits_BMC: Tensor, weights_BM: Tensor, present_BM: Tensor, kind: str) -> Tensor:
    """Weighted mean [B, C]: log of mean probability for "classes", mean of logits else; zeros with nothing present."""
    if kind != "classes":
        return (logits_BMC * weights_BM[..., None]).sum(1)
    log_weights_BM = torch.log(torch.where(present_BM, weights_BM, torch.ones_like(weights_BM)))
    scores_BMC = torch.log_softmax(logits_BMC, dim=2) + log_weights_BM[..., None]
    log_mean_BC = torch.logsumexp(scores_BMC.masked_fill(~present_BM[..., None], -1e9), dim=1)
    return torch.where(present_BM.any(1, keepdim=True), log_mean_BC, torch.zeros_like(log_mean_BC))


FUSIONS.add("late_mean", LateMeanFusion)
FUSIONS.add("late_weighted", LateWeightedFusion)
