"""Product of experts: each modality answers alone, and the answers are multiplied as independent evidence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.fusion.base import FUSIONS, FusionInfo, masked_softmax
from plait.fusion.late import LateFusion


class ProductOfExpertsFusion(LateFusion):
    """log p(y | x) = sum_m log p(y | x_m) - (n - 1) log p(y) + const over the n modalities present.

    Exact when the modalities are independent given y. The prior p(y) is the share of each class among the training
    rows, with one row added to each class (the class weights of the loss multiply it, as they do in what the experts
    learn); it is uniform until ``start_from`` was called. Labels: the same with log-odds. A number: Gaussian experts
    with one learned precision each, so the precision-weighted mean; no prior. A row with nothing present is answered
    by the prior (zero for a number).

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own; precisions learn from it in any case.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: modalities that err independently of each other; rare classes, where the prior matters.
    Relatives: ``late_mean`` is safer when modalities repeat each other: a product counts the same evidence twice. For
    a number it is ``late_weighted`` in other words.
    Reference: Hinton 2002; Wu, Goodman 2018 (the prior divided out).
    """

    info = FusionInfo(
        "product_of_experts",
        "Hinton 2002; Wu, Goodman 2018",
        "log p = sum_m log p_m - (n - 1) log prior over the n modalities present",
        needs_tokens=False,
    )
    log_prior_C: Tensor  # noqa: N815  shape letters

    def add_parts(self) -> None:
        """A uniform prior, and the precisions of Gaussian experts."""
        outputs = self.outputs
        uniform = -float(np.log(outputs.num_outputs)) if outputs.kind == "classes" else 0.0
        self.register_buffer("log_prior_C", torch.full((outputs.num_outputs,), uniform))
        self.log_precision_M = nn.Parameter(torch.zeros(len(self.dims))) if outputs.kind == "number" else None

    def start_from(self, target: np.ndarray, class_weights: list[float] | None) -> None:
        """Take the prior from the training targets: log shares of classes, or log-odds of labels."""
        if self.outputs.kind == "number":
            return
        weights_C = np.asarray(class_weights or [1.0] * self.outputs.num_outputs)
        if self.outputs.kind == "classes":
            share_C = (np.bincount(target, minlength=self.outputs.num_outputs) + 1.0) * weights_C
            log_prior_C = np.log(share_C / share_C.sum())
        else:
            positive_C = target.sum(0)
            log_prior_C = np.log((positive_C + 1.0) * weights_C / (len(target) - positive_C + 1.0))
        self.log_prior_C.copy_(torch.from_numpy(log_prior_C))

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor | None]:
        """Multiply the answers."""
        if self.log_precision_M is not None:
            weights_BM = masked_softmax(self.log_precision_M, present_BM)  # precisions over their sum
            return (logits_BMC * weights_BM[..., None]).sum(1), weights_BM
        terms_BMC = functional.log_softmax(logits_BMC, dim=2) if self.outputs.kind == "classes" else logits_BMC
        there_BM = present_BM.to(terms_BMC.dtype)
        total_BC = (terms_BMC * there_BM[..., None]).sum(1)
        return total_BC - (there_BM.sum(1, keepdim=True) - 1.0) * self.log_prior_C, None


FUSIONS.add("product_of_experts", ProductOfExpertsFusion)
