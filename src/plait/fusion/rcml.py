"""Averaged evidence (RCML): opinions are averaged, not multiplied, and training keeps them from contradicting."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, FusionOutput, OutputSpec, check_weight, masked_mean
from plait.fusion.evidential import EvidentialFusion


class RCMLFusion(EvidentialFusion):
    """e = mean_m e_m over what is present, e_m = softplus(f_m(x_m)); h = log(e + 1).

    For two opinions the mean of their evidence is b = (b_1 u_2 + b_2 u_1) / (u_1 + u_2), u = 2 u_1 u_2 / (u_1 + u_2):
    a second opinion that says the same makes nothing surer, where Dempster's rule would. The paper's code averages one
    modality after the other, so that the last has half of the say; here it is the plain mean, in which order is
    nothing.

    The training loss has, beside that of ``evidential``, the degree of conflict of the opinions (:func:`conflicts`),
    summed over ordered pairs, divided by the number of other modalities that are there, and averaged over rows.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for, classes; the model gives it.
        conflict: Weight of the degree of conflict in the training loss, 0 or more; 1 in the paper's code.
        annealing: As in ``evidential``.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own, as the paper does.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: The outputs are labels or a number, or an option is out of range.

    When to use: rows whose modalities may contradict each other, and the doubt must not vanish there.
    Relatives: ``evidential`` multiplies; ``dbf`` discounts opinions that are contradicted.
    Reference: Xu, Si, Guan, Zhao, Wu, Gao 2024 (reliable conflictive multi-view learning, AAAI).
    """

    info = FusionInfo(
        "rcml",
        "Xu, Si, Guan, Zhao, Wu, Gao 2024 (RCML)",
        "e = mean_m softplus(f_m(x_m)) over what is present; h = log(e + 1)",
        needs_tokens=False,
    )
    additive_scale = "mean evidence"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        conflict: float = 1.0,
        annealing: float = 0.1,
        hidden_layers: int = 0,
        joint: bool = False,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dims, width, outputs=outputs, annealing=annealing, hidden_layers=hidden_layers, joint=joint,
            normalise=normalise, dropout=dropout,
        )  # fmt: skip
        check_weight(conflict=conflict)
        self.conflict = conflict

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Average the evidence; in training tell how far the opinions contradict each other."""
        output = super().forward(encoded, present_BM)
        if not self.training or self.conflict == 0 or len(self.dims) < 2:
            return output
        assert output.modality_logits_BMC is not None
        degree_BMM = conflicts(torch.expm1(output.modality_logits_BMC), present_BM)
        others_B = (present_BM.sum(1) - 1).clamp(min=1)
        return replace(output, regulariser=self.conflict * (degree_BMM.sum((1, 2)) / others_B).mean())

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Log alpha of the mean evidence."""
        return torch.log1p(masked_mean(functional.softplus(logits_BMC), present_BM)), None


def conflicts(evidence_BMC: Tensor, present_BM: Tensor) -> Tensor:
    """c_mn = (1/2) sum_c |p_mc - p_nc| (1 - u_m) (1 - u_n), in [0, 1), [B, M, M]; 0 where m or n is missing, and m = n.

    p_m = (e_m + 1) / S_m are expected probabilities, u_m = C / S_m the doubt: two opinions are in conflict as far as
    they say different things and both of them are sure.
    """
    alpha_BMC = evidence_BMC + 1
    total_BM1 = alpha_BMC.sum(2, keepdim=True)
    proba_BMC, sure_BM = alpha_BMC / total_BM1, 1 - alpha_BMC.shape[2] / total_BM1[..., 0]
    apart_BMM = (proba_BMC[:, :, None] - proba_BMC[:, None]).abs().sum(3) / 2
    both_BMM = present_BM[:, :, None] & present_BM[:, None]
    return apart_BMM * sure_BM[:, :, None] * sure_BM[:, None] * both_BMM


FUSIONS.add("rcml", RCMLFusion)
