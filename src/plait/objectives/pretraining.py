"""Terms of pretraining: what projections and fusion learn from rows without their targets, before the labelled step.

In: one batch of encoded rows and the frozen vectors of its modalities. Out: a scalar to be made small, or None where
the batch has nothing to learn from. Each term trains the network through its fused vectors and holds what only
pretraining needs (projections, regressions); that is thrown away with it. A term is a record in ``PRETRAINING`` under
its name in ``pretrain.objective``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from plait.encoders.scaling import FeatureScaler
from plait.fusion.base import EncodedDims
from plait.heads.temperature import keep_below_ceiling
from plait.objectives.alignment import Alignment
from plait.objectives.multimodal_contrast import MultimodalContrast, only
from plait.objectives.step import Step
from plait.registry import Registry

Frozen = Sequence[Tensor | None]  # [B, D_m] a modality; None where its encoder is trained


class PretrainingTerm(nn.Module):
    """Base of the terms of pretraining.

    Attributes:
        frozen_dims: Widths of the frozen vectors by modality number; None where the encoder is trained.
        scalers: Mean and standard deviation of frozen vectors, by modality number as text, which whoever trains fits
            to the rows first; empty where the term needs none.
    """

    def __init__(self, frozen_dims: Sequence[int | None]) -> None:
        super().__init__()
        self.frozen_dims = list(frozen_dims)
        self.scalers = nn.ModuleDict()

    def forward(self, step: Step, frozen: Frozen) -> Tensor | None:
        """The term, a scalar, or None.

        Args:
            step: The batch; its targets mean nothing.
            frozen: Vectors as the encoders gave them, in model order.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """Bring parameters back into their range: here nothing."""


class FusedAlignment(PretrainingTerm):
    """Alignment of what the fusion makes of each modality alone: mean over pairs of InfoNCE(P_m z_m, P_n z_n).

    z_m is the fused vector with only modality m shown. It keeps what modalities share, and nothing else.

    Args:
        frozen_dims: Widths by modality.
        width: Width of the fused vector.
        mask: Not used.

    Needs: two modalities; a fusion with a fused vector.
    When to use: modalities of a row tell of the same thing, and so does the target.
    Relatives: ``comm`` keeps what one modality alone or only all together tell too.
    Reference: Radford et al. 2021 (CLIP); here on the fused vectors, so that the fusion learns.
    """

    def __init__(self, frozen_dims: Sequence[int | None], width: int, mask: float) -> None:
        super().__init__(frozen_dims)
        self.alignment = Alignment([EncodedDims(width)] * len(frozen_dims), width)

    def forward(self, step: Step, frozen: Frozen) -> Tensor | None:
        """See the class."""
        assert step.group_B is not None and step.key_BM is not None
        present_BM = step.present_BM
        alone = [step.fuse(step.encoded, only(present_BM, m)).fused_BD for m in range(present_BM.shape[1])]
        return cast(Tensor | None, self.alignment(alone, present_BM, step.group_B, step.key_BM))

    def after_step(self) -> None:
        """Keep the temperature under its ceiling."""
        keep_below_ceiling(self.alignment.log_temperature)


class FusedContrast(PretrainingTerm):
    """CoMM as it was meant, before there are labels: see :class:`~plait.objectives.MultimodalContrast`.

    Args:
        frozen_dims: Widths by modality.
        width: Width of the fused vector.
        mask: Not used.

    Needs: two modalities; a fusion with a fused vector.
    When to use: many rows, few labels, and the target may rest on any modality or on several together.
    Relatives: ``align`` keeps what modalities share; ``train.comm`` is the same term beside the labelled loss.
    Reference: Dufumier, Castillo-Navarro, Tuia, Thiran 2025 (what to align in multimodal contrastive learning, ICLR).
    """

    def __init__(self, frozen_dims: Sequence[int | None], width: int, mask: float) -> None:
        super().__init__(frozen_dims)
        self.contrast = MultimodalContrast(width)

    def forward(self, step: Step, frozen: Frozen) -> Tensor | None:
        """See the class."""
        return cast(Tensor | None, self.contrast(step, step.present_BM))


class MaskedModalities(PretrainingTerm):
    """Mean over hidden modalities of ||W_m z + b_m - v_m||^2 / D_m, z the fused vector of what is left of the row.

    v_m is the frozen vector of the hidden modality, each feature at mean 0 and standard deviation 1 over the rows (at
    most 10 away from it); 1 is therefore what predicting the mean costs. Modalities whose encoder is trained are hidden
    too but not predicted, since they could make themselves easy to predict.

    Args:
        frozen_dims: Widths by modality.
        width: Width of the fused vector.
        mask: Probability that a modality is hidden, see :func:`mask_modalities`.

    Needs: two modalities, at least one with a frozen encoder; a fusion with a fused vector.
    When to use: modalities that tell of each other, and rows that will lack some.
    Relatives: ``align`` asks which row a vector belongs to, this one what the other modality holds.
    Reference: He et al. 2022 (masked autoencoders); Bachmann et al. 2022 (MultiMAE). On frozen vectors: ours.
    """

    def __init__(self, frozen_dims: Sequence[int | None], width: int, mask: float) -> None:
        super().__init__(frozen_dims)
        self.mask = mask
        known = {str(m): dim for m, dim in enumerate(frozen_dims) if dim is not None}
        self.scalers = nn.ModuleDict({key: FeatureScaler(dim) for key, dim in known.items()})
        self.regressions = nn.ModuleDict({key: nn.Linear(width, dim) for key, dim in known.items()})

    def forward(self, step: Step, frozen: Frozen) -> Tensor | None:
        """See the class."""
        shown_BM = mask_modalities(step.present_BM, self.mask)
        hidden_BM = step.present_BM & ~shown_BM
        fused_BD = step.fuse(step.encoded, shown_BM).fused_BD
        errors = []
        for key, regression in self.regressions.items():
            rows = torch.nonzero(hidden_BM[:, int(key)]).squeeze(1)
            vector_BD = frozen[int(key)]
            if len(rows) == 0 or vector_BD is None:
                continue
            errors.append(((regression(fused_BD[rows]) - self.scalers[key](vector_BD[rows])) ** 2).mean(1))
        return torch.cat(errors).mean() if errors else None


def mask_modalities(present_BM: Tensor, rate: float) -> Tensor:
    """What is left of rows when each modality is hidden with a probability, [B, M].

    A row that would lose all keeps one of what it has, drawn at random; a rate of 0 hides nothing, a rate of 1 all but
    one.

    Args:
        present_BM: What is there, bool.
        rate: Probability of hiding each modality, in [0, 1].
    """
    kept_BM = present_BM & (torch.rand(present_BM.shape, device=present_BM.device) >= rate)
    draw_BM = torch.rand(present_BM.shape, device=present_BM.device).masked_fill(~present_BM, -1.0)
    one_BM = torch.zeros_like(present_BM).scatter(1, draw_BM.argmax(1, keepdim=True), True) & present_BM
    return torch.where(kept_BM.any(1, keepdim=True), kept_BM, one_BM)


PRETRAINING: Registry[Callable[[Sequence[int | None], int, float], PretrainingTerm]] = Registry("pretraining objective")
PRETRAINING.add("align", FusedAlignment)
PRETRAINING.add("comm", FusedContrast)
PRETRAINING.add("masked", MaskedModalities)
