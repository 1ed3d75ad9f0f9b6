"""Boosting over modalities (ReconBoost): one modality at a time learns what the others have not got right yet."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, FusionOutput, OutputSpec, check_count
from plait.fusion.late import LateFusion


class ReconBoostFusion(LateFusion):
    """h = sum_m f_m(x_m) over what is present; the f_m learn in turns, each against the sum of the others, held fixed.

    A turn of modality m has two halves. In the first only f_m learns, by (1 - r p) CE(f_m, y) a row, p the probability
    that the sum of the others gives the right class: the farther the others are from it, the more a row counts. In the
    second all learn by the joint loss (the paper's global rectification). The turns share the training steps evenly,
    ``rounds`` a modality; only the newest f_m stays. Labels are weighed one by one alike; for a number f_m learns what
    the others leave, (y - sum_{n != m} f_n - f_m)^2, which is boosting with the squared loss.

    In the authors' code the two parts have weights 5 and 1, which is r = 0.2; the term that is to bring modalities
    nearer to each other carries no gradient there, and is left out here.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        rounds: Turns of each modality, 1 or more.
        reconcile: r, between 0 (each learns on its own) and 1 (rows that the others have got do not count).
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: An option is out of range.

    When to use: one modality is learned at once, and the others are to learn what it does not know.
    Relatives: ``late_mean`` trains each modality alone; ``train.auxiliary`` adds their losses in any fusion.
    Reference: Hua, Xu, Bao, Yang, Huang 2024 (ReconBoost, ICML); Friedman 2001 (gradient boosting).
    """

    info = FusionInfo(
        "reconboost",
        "Hua, Xu, Bao, Yang, Huang 2024 (ReconBoost)",
        "h = sum_m f_m(x_m), f_m learned in turns by (1 - r p_others(y)) CE(f_m, y), then all by the joint loss",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        rounds: int = 4,
        reconcile: float = 0.2,
        hidden_layers: int = 0,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dims, width, outputs=outputs, hidden_layers=hidden_layers, joint=True, normalise=normalise, dropout=dropout
        )
        check_count(rounds=rounds)
        if isinstance(reconcile, bool) or not isinstance(reconcile, int | float) or not 0 <= reconcile <= 1:
            raise ValueError(f"reconcile must be between 0 and 1; got {reconcile!r}")
        self.rounds, self.reconcile = rounds, reconcile
        self.class_weights: list[float] | None = None

    def start_from(self, target: np.ndarray, class_weights: list[float] | None) -> None:
        """Keep the class weights, with which rows count in the turns as well."""
        self.class_weights = class_weights

    @property
    def turn(self) -> int | None:
        """Which modality learns alone at this point of training; None: all of them together."""
        count = len(self.dims)
        half = min(int(self.progress * 2 * self.rounds * count), 2 * self.rounds * count - 1)
        return None if half % 2 or count == 1 else half // 2 % count

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Sum of the answers; what is missing adds nothing."""
        return logits_BMC.sum(1), None

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Answer modality by modality and add up; in a turn only the answer of the one that learns has a gradient."""
        turn = self.turn if self.training else None
        logits_BMC = self.predictors(encoded, present_BM, learning=turn)
        fused_BC, _ = self.join(logits_BMC if turn is None else logits_BMC.detach(), present_BM)
        alone_BMC = logits_BMC.detach() if self.training and turn is None else logits_BMC
        return FusionOutput(fused_BC, modality_logits_BMC=alone_BMC)

    def own_loss(self, fused: FusionOutput, present_BM: Tensor, target: Tensor, rows_B: Tensor | None) -> Tensor | None:
        """What makes the plain loss of the modality whose turn it is, which the model adds, the boosted one."""
        turn = self.turn
        if turn is None or fused.modality_logits_BMC is None:
            return None
        answer_BC = fused.modality_logits_BMC[:, turn]
        others_BC = (fused.modality_logits_BMC.sum(1) - answer_BC).detach()
        change_B = boosted_less_plain(
            answer_BC, others_BC, target, self.outputs.kind, self.reconcile, self.class_weights
        )
        there_B = present_BM[:, turn].to(change_B.dtype)
        return (change_B * there_B).sum() / there_B.sum().clamp(min=1) / len(self.dims)


def boosted_less_plain(
    answer_BC: Tensor, others_BC: Tensor, target: Tensor, kind: str, reconcile: float, class_weights: list[float] | None
) -> Tensor:
    """-r p CE of each row [B] for classes and labels (their mean); for a number the change of the squared loss."""
    if kind == "number":
        wanted_B1 = target.reshape(-1, 1).to(answer_BC.dtype)
        return ((others_BC + answer_BC - wanted_B1) ** 2 - (answer_BC - wanted_B1) ** 2).mean(1)
    weights_C = None if class_weights is None else answer_BC.new_tensor(class_weights)
    if kind == "labels":
        right_BC = torch.sigmoid(torch.where(target > 0, others_BC, -others_BC))
        loss_BC = functional.binary_cross_entropy_with_logits(
            answer_BC, target.to(answer_BC.dtype), pos_weight=weights_C, reduction="none"
        )
        return -reconcile * (right_BC * loss_BC).mean(1)
    right_B = torch.softmax(others_BC, dim=1).gather(1, target[:, None])[:, 0]
    return -reconcile * right_B * functional.cross_entropy(answer_BC, target, weight=weights_C, reduction="none")


FUSIONS.add("reconboost", ReconBoostFusion)
