"""MMPareto: where the joint loss and a modality's own pull it apart, it takes the step that harms neither."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter

from plait.objectives.base import OBJECTIVES, ObjectiveInfo


def share_of_joint(joint: Tensor, own: Tensor) -> float:
    """A that makes ||a g + (1 - a) g_m|| least, in [0, 1]; 1/2 where the gradients do not contradict, g g_m >= 0."""
    if float(joint @ own) >= 0:
        return 0.5
    return float((own @ (own - joint)) / ((joint - own) ** 2).sum())


class ParetoGradients:
    """On the parameters of modality m alone: g <- h ||g + g_m|| / ||h||, h = a g + (1 - a) g_m; the step gamma times.

    L = L_joint + sum_m L_m; g is the gradient of everything but L_m, g_m that of L_m, over adapter and trained encoder
    of m together, and a as in :func:`share_of_joint`. Where they agree (g g_m >= 0) this is the plain sum; where not, h
    is the shortest mean of both, along which neither loss rises, brought back to the length of the sum. The paper then
    multiplies the gradient by gamma, which AdamW divides away; here the step of the optimizer is multiplied, under SGD
    without momentum the same. (The authors' code rescales weight by weight; this is the paper's rule.)

    Args:
        gamma: How much longer the steps of single modalities are; 1.5 in the paper, 1 leaves them.

    Needs: two modalities; any task.
    When to use: as ``auxiliary``, when adding the losses of single modalities costs joint accuracy.
    Relatives: ``auxiliary`` adds the same losses as they are; ``gradient_blending`` weighs them by validation rows.
    Reference: Wei, Hu 2024 (MMPareto, ICML); Desideri 2012 (the direction of least norm).
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self.all: list[list[Tensor]] = []
        self.own: list[list[Tensor]] = []
        self.before: list[tuple[Parameter, Tensor]] = []

    def measure(self, loss: Tensor, losses_M: Tensor, owned: list[list[Parameter]]) -> None:
        """Take the gradients of this batch, those of several batches before one step added up.

        Args:
            loss: The whole training loss, with the losses of the modalities in it.
            losses_M: Loss of each modality alone.
            owned: Trained parameters of each modality alone.
        """
        whole = [_gradients(loss, parameters) for parameters in owned]
        own = [_gradients(losses_M[m], parameters) for m, parameters in enumerate(owned)]
        self.all = _added(self.all, whole)
        self.own = _added(self.own, own)

    @torch.no_grad()
    def before_step(self, owned: list[list[Parameter]]) -> None:
        """Put the mixed gradients where the optimizer will find them, as long as those that are there."""
        if not self.all:
            return
        for parameters, whole, own in zip(owned, self.all, self.own, strict=True):
            parameters = [p for p in parameters if p.grad is not None]
            self.before += [(p, p.detach().clone()) for p in parameters]
            own_F = _flat(own)
            joint_F = _flat(whole) - own_F
            share = share_of_joint(joint_F, own_F)
            mixed = [share * (w - o) + (1 - share) * o for w, o in zip(whole, own, strict=True)]
            size = _flat(mixed).norm()
            if share == 0.5 or size == 0:
                continue
            length = _flat([p.grad for p in parameters if p.grad is not None]).norm()
            for parameter, gradient in zip(parameters, mixed, strict=True):
                parameter.grad = (gradient * (length / size)).to(parameter.dtype)

    @torch.no_grad()
    def after_step(self) -> None:
        """Make the steps gamma times as long."""
        for parameter, old in self.before:
            parameter.copy_(torch.lerp(old, parameter, self.gamma))
        self.all, self.own, self.before = [], [], []


def _gradients(loss: Tensor, parameters: list[Parameter]) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g.detach() for p, g in zip(parameters, found, strict=True)]


def _added(before: list[list[Tensor]], now: list[list[Tensor]]) -> list[list[Tensor]]:
    if not before:
        return now
    return [[a + b for a, b in zip(left, right, strict=True)] for left, right in zip(before, now, strict=True)]


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors]) if tensors else torch.zeros(1)


OBJECTIVES.add(
    "mmpareto",
    ObjectiveInfo(
        "mmpareto", "Wei, Hu 2024", "g_m <- ||g + g_m|| h / ||h||, h = a g + (1 - a) g_m of least norm; gamma step_m",
        usual=1.5,
    ),
)  # fmt: skip
