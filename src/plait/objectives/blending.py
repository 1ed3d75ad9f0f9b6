"""Gradient blending: the loss of each head weighs as much as what it learns generalises.

In: losses of M modalities alone and of the joint answer, on training and on validation rows, after each epoch. Out:
weights of these M + 1 losses for the next epoch. They lie in buffers, so that a run that was stopped goes on with them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.objectives.base import OBJECTIVES, ObjectiveInfo

GROWTH_FLOOR = 0.05  # about the standard error of a mean loss over a few hundred validation rows
EVEN_SHARE = 0.1


def blending_weights(
    train_start_K: Tensor, val_start_K: Tensor, train_now_K: Tensor, val_now_K: Tensor, before_K: Tensor
) -> Tensor:
    """w_k proportional to G_k / O_k^2, sum 1, [K].

    G_k = val_start - val_now, the drop of the validation loss (a head whose loss rose counts as 0);
    O_k = (val_now - train_now) - (val_start - train_start), the growth of the gap, at least 0.05: a gap that shrank or
    barely moved would give one head everything. One tenth of the weight is shared evenly, so that a head that got
    nothing can come back. Without any drop the weights before stay.

    Args:
        train_start_K: Training loss of each head before the first epoch.
        val_start_K: Validation loss of each head before the first epoch.
        train_now_K: Training loss of each head now.
        val_now_K: Validation loss of each head now.
        before_K: Weights until now.
    """
    drop_K = (val_start_K - val_now_K).clamp(min=0.0)
    growth_K = ((val_now_K - train_now_K) - (val_start_K - train_start_K)).clamp(min=GROWTH_FLOOR)
    share_K = drop_K / growth_K**2
    total = share_K.sum()
    mixed_K = (1 - EVEN_SHARE) * share_K / total.clamp(min=1e-12) + EVEN_SHARE / len(share_K)
    return torch.where(total > 0, mixed_K, before_K)


class GradientBlending(nn.Module):
    """L = sum_k w_k L_k over each modality's auxiliary head and the joint answer (k = M), w_k from G_k / O_k^2.

    Weights start even and are set anew after every epoch. Growth and drop are counted from the start of training, not
    from the epoch before: the difference of one epoch is mostly noise. The paper's online form trains each head apart
    from a copy of the model before each stage; here all of them learn together and are only measured.

    Args:
        num_modalities: M.

    Needs: two modalities, validation rows; any task.
    When to use: when one modality is easy to learn by heart and drags the joint model down with it.
    Relatives: ``auxiliary`` has fixed weights; ``ogm`` needs no validation rows and slows the gradient, step by step.
    Reference: Wang, Tran, Feiszli 2020 (gradient blending, the overfitting-to-generalisation ratio).
    """

    weights_K: Tensor  # noqa: N815  shape letters
    train_start_K: Tensor  # noqa: N815
    val_start_K: Tensor  # noqa: N815
    num_observed: Tensor

    def __init__(self, num_modalities: int) -> None:
        super().__init__()
        count = num_modalities + 1
        self.register_buffer("weights_K", torch.full((count,), 1.0 / count))
        self.register_buffer("train_start_K", torch.zeros(count))
        self.register_buffer("val_start_K", torch.zeros(count))
        self.register_buffer("num_observed", torch.zeros((), dtype=torch.long))

    def forward(self, losses_M: Tensor, joint: Tensor) -> Tensor:
        """Blend the losses of the modalities [M] and of the joint answer (a scalar)."""
        return (self.weights_K[:-1] * losses_M).sum() + self.weights_K[-1] * joint

    @torch.no_grad()
    def observe(self, train_K: Tensor, val_K: Tensor) -> None:
        """Take losses on training and validation rows: the first time as the start, later to set the weights."""
        train_K, val_K = train_K.to(self.weights_K), val_K.to(self.weights_K)
        if int(self.num_observed) == 0:
            self.train_start_K.copy_(train_K)
            self.val_start_K.copy_(val_K)
        else:
            start = self.train_start_K, self.val_start_K
            self.weights_K.copy_(blending_weights(*start, train_K, val_K, self.weights_K))
        self.num_observed += 1


OBJECTIVES.add(
    "gradient_blending",
    ObjectiveInfo(
        "gradient_blending", "Wang, Tran, Feiszli 2020", "L = sum_k w_k L_k, w_k ~ G_k / O_k^2", needs_validation=True
    ),
)
