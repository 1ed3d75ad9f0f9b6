"""Evidential late fusion (TMC): each modality gives evidence for the classes, and Dempster's rule joins them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, FusionOutput, OutputSpec
from plait.fusion.late import LateFusion, check_classes


class EvidentialFusion(LateFusion):
    """e_m = softplus(f_m(x_m)), alpha_m = e_m + 1, b_m = e_m / S_m, u_m = C / S_m, S_m = sum alpha_m; Dempster's rule.

    For two opinions: b = (b_1 b_2 + b_1 u_2 + b_2 u_1) / (1 - K), u = u_1 u_2 / (1 - K), K = sum_{i != j} b_1i b_2j.
    A missing modality is the vacuous opinion b = 0, u = 1, which changes nothing. Divided by u, and since b_c / u =
    e_c / C, the rule becomes 1 + e_c / C = prod_m (1 + e_mc / C): that is what is computed, in logarithms.

    Logits are log alpha, so softmax gives the expected probabilities alpha / S, and the uncertainty u = C / S is
    still to be had (``uncertainty``, a column of predictions). All classes rank as sum_m log(1 + e_mc / C): the
    decision is additive.

    The loss of every answer, joint and of each modality, is the expected cross-entropy under the Dirichlet, plus a KL
    term to the uniform Dirichlet of the evidence for wrong classes. The weight of that term grows from 0 to 1 over the
    first ``annealing`` of all training steps, so that it means the same on small and large tables; the paper counts
    epochs, 50 of 500 in its code. The model takes the mean over modalities where the paper sums.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for, classes; the model gives it.
        annealing: Share of all training steps after which the KL term has its full weight, above 0, at most 1.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own, as the paper does.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: The outputs are labels or a number, or ``annealing`` is no such share.

    When to use: when a model must say that it does not know.
    Relatives: ``product_of_experts``, likewise a product, without a measure of doubt; ``rcml`` and ``dbf``, whose doubt
        does not shrink where modalities contradict each other.
    Reference: Han, Zhang, Fu, Zhou 2021; Sensoy, Kaplan, Kandemir 2018 (the loss).
    """

    info = FusionInfo(
        "evidential",
        "Han, Zhang, Fu, Zhou 2021 (TMC)",
        "1 + e_c / C = prod_m (1 + e_mc / C), e_m = softplus(f_m(x_m)); h = log(e + 1)",
        needs_tokens=False,
    )
    additive_scale = "evidence"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        annealing: float = 0.1,
        hidden_layers: int = 0,
        joint: bool = False,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_classes(self.info.name, outputs)
        if isinstance(annealing, bool) or not isinstance(annealing, int | float) or not 0 < annealing <= 1:
            raise ValueError(
                f"annealing must be a share of all training steps, above 0 and at most 1; got {annealing!r}"
            )
        super().__init__(
            dims, width, outputs=outputs, hidden_layers=hidden_layers, joint=joint, normalise=normalise, dropout=dropout
        )
        self.annealing = annealing

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Join the opinions; what each modality answers alone are logarithms of alpha too."""
        output = super().forward(encoded, present_BM)
        assert output.modality_logits_BMC is not None
        alone_BMC = torch.log1p(functional.softplus(output.modality_logits_BMC)) * present_BM[..., None]
        return replace(output, modality_logits_BMC=alone_BMC)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Models saved before counted their batches; nothing asks for that number any more."""
        state_dict.pop(f"{prefix}batches_seen", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Join the opinions by Dempster's rule."""
        num_classes = logits_BMC.shape[2]
        growth_BMC = torch.log1p(functional.softplus(logits_BMC) / num_classes) * present_BM[..., None]
        total_BC = growth_BMC.sum(1)
        # alpha = 1 + C (exp(total) - 1), as a logarithm that neither overflows nor cancels
        return total_BC + torch.log(num_classes - (num_classes - 1) * torch.exp(-total_BC)), None

    def uncertainty(self, logits_BC: Tensor) -> Tensor:
        """Uncertainty u = C / S of each row [B], in (0, 1], from logits that are log alpha."""
        return torch.exp(math.log(logits_BC.shape[1]) - torch.logsumexp(logits_BC, dim=1))

    def row_loss(self, logits_BC: Tensor, target: Tensor, class_weights_C: Tensor | None) -> Tensor:
        """Expected cross-entropy and the annealed KL term of each row [B].

        Args:
            logits_BC: log alpha.
            target: Class of each row.
            class_weights_C: Weight of each class, or None.
        """
        weight = min(1.0, self.progress / self.annealing)
        alpha_BC = logits_BC.double().exp()
        right_BC = functional.one_hot(target, alpha_BC.shape[1]).to(alpha_BC.dtype)
        fit_B = torch.digamma(alpha_BC.sum(1)) - (right_BC * torch.digamma(alpha_BC)).sum(1)
        loss_B = fit_B + weight * divergence_from_uniform(right_BC + (1 - right_BC) * alpha_BC)
        if class_weights_C is not None:
            loss_B = loss_B * class_weights_C[target]
        return loss_B.to(logits_BC.dtype)


def divergence_from_uniform(alpha_BC: Tensor) -> Tensor:
    """KL(Dirichlet(alpha) || Dirichlet(1)) of each row [B]."""
    total_B1 = alpha_BC.sum(1, keepdim=True)
    divergence_BC = (alpha_BC - 1) * (torch.digamma(alpha_BC) - torch.digamma(total_B1))
    constant_B = torch.lgamma(total_B1[:, 0]) - torch.lgamma(alpha_BC).sum(1) - math.lgamma(alpha_BC.shape[1])
    return constant_B + divergence_BC.sum(1)


FUSIONS.add("evidential", EvidentialFusion)
