"""Gradient modulation: the modality that is ahead of the others learns more slowly until they have caught up.

In: what each modality alone answers on the batch. Out: factors for the steps of what belongs to one modality alone.
The optimizer makes its step first, then so much of it is taken back that the factor is left. Scaling the gradient in
front of the step, as the paper does under plain SGD, is no modulation under AdamW: it divides by the gradient's size.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import Parameter

from plait.objectives.base import OBJECTIVES, ObjectiveInfo


def scores(answers_BMC: Tensor, present_BM: Tensor, target_B: Tensor) -> Tensor:
    """s_m: mean probability of the right class over the rows that have m, [M]; 0 for one that no row has.

    The paper sums over the batch; with every modality there the ratios are the same, and a mean does not call a
    modality weak because it is often missing.
    """
    proba_BMC = torch.softmax(answers_BMC, dim=-1)
    index_BM1 = target_B[:, None, None].expand(-1, answers_BMC.shape[1], 1)
    right_BM = proba_BMC.gather(2, index_BM1).squeeze(2)
    there_BM = present_BM.to(right_BM.dtype)
    return (right_BM * there_BM).sum(0) / there_BM.sum(0).clamp(min=1.0)


def ratios(score_M: Tensor) -> Tensor:
    """rho_m = s_m / mean of s_n over the other modalities n, [M]; with two modalities it is the papers' ratio.

    A score of 0 (no row of the batch has that modality) counts neither as one of the others nor as ahead.
    """
    there_M = (score_M > 0).to(score_M.dtype)
    others_M = (score_M.sum() - score_M) / (there_M.sum() - there_M).clamp(min=1.0)
    return torch.where(others_M > 0, score_M / others_M.clamp(min=1e-12), torch.ones_like(score_M))


def factors(score_M: Tensor, alpha: float) -> Tensor:
    """k_m = 1 - tanh(alpha rho_m) where rho_m > 1, else 1, [M]; rho as in :func:`ratios`."""
    ratio_M = ratios(score_M)
    return torch.where(ratio_M > 1, 1 - torch.tanh(alpha * ratio_M), torch.ones_like(score_M))


class GradientModulation:
    """p_m <- p_m + k_m step_m (+ noise), for the parameters of modality m alone: adapter, and encoder if trained.

    ``step_m`` is all that the optimizer does to a parameter: learning rate, momentum and weight decay are in it and
    slowed alike, so that k_m = 0 leaves the parameter as it was. Under SGD without momentum it is the paper's rule.
    What an optimizer keeps (momentum, the moments of AdamW) is that of the gradients as they came.

    With ``noise`` every such step gets Gaussian noise of its own standard deviation, measured before it was slowed (the
    paper's generalisation enhancement, whose noise passes through the learning rate likewise); it is drawn from torch's
    generator, so that the seed of a run fixes it.
    The paper reads s_m off the joint linear layer, which only a concatenation has; here the auxiliary head of the
    modality gives it, for any fusion. Where no other objective trains these heads, they learn on detached vectors.

    Args:
        alpha: How hard to slow down, above 0.
        noise: Whether to add the noise.

    Needs: two modalities; a task with classes.
    When to use: when one modality is learned at once and the others stay behind.
    Relatives: ``gradient_blending`` weighs losses by validation rows; ``modality_dropout`` hides modalities at random.
    Reference: Peng, Wei, Deng, Wang, Hu 2022 (OGM-GE).
    """

    def __init__(self, alpha: float, *, noise: bool = False) -> None:
        self.alpha = alpha
        self.noise = noise
        self.factor_M: Tensor | None = None
        self.before: list[list[tuple[Parameter, Tensor]]] = []

    @torch.no_grad()
    def measure(self, answers_BMC: Tensor, present_BM: Tensor, target_B: Tensor) -> None:
        """Set the factors of this step."""
        self.factor_M = factors(scores(answers_BMC, present_BM, target_B), self.alpha)

    @torch.no_grad()
    def before_step(self, owned: list[Iterable[Parameter]]) -> None:
        """Remember each modality's own parameters, in model order, as the optimizer is about to find them."""
        if self.factor_M is not None:
            self.before = [[(p, p.detach().clone()) for p in parameters if p.grad is not None] for parameters in owned]

    @torch.no_grad()
    def after_step(self) -> None:
        """Leave of each step what the factor says."""
        if self.factor_M is None:
            return
        for factor, parameters in zip(self.factor_M, self.before, strict=True):
            for parameter, old in parameters:
                slowed = torch.lerp(old, parameter, factor.to(old.dtype))  # exact at both ends, 0 and 1
                if self.noise:
                    step = parameter - old
                    slowed += torch.randn_like(step) * step.std(correction=0)
                parameter.copy_(slowed)
        self.factor_M, self.before = None, []


OBJECTIVES.add(
    "ogm",
    ObjectiveInfo(
        "ogm",
        "Peng et al. 2022",
        "step_m <- (1 - tanh(alpha rho_m)) step_m where rho_m > 1",
        usual=0.5,
        only_classes=True,
    ),
)
