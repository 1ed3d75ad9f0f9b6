"""The contract of every fusion: encoded modalities in, one fused vector a row out, missing modalities exact.

A fusion receives one :class:`~plait.encoders.base.Encoded` per modality, in the order of the model's list of
modality names, and ``present_BM`` which says row by row what is there. The content of a missing modality is
replaced before any arithmetic touches it (``torch.where``, not a multiplication: NaN times zero is NaN), so
it cannot change the output by one bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.registry import Registry


@dataclass(frozen=True)
class FusionInfo:
    """What a fusion says about itself, for reports and documentation."""

    name: str
    paper: str
    equation: str
    needs_tokens: bool


@dataclass(frozen=True)
class EncodedDims:
    """Widths that one encoded modality has: of its vector, and of its tokens (None: it has none).

    ``order`` is what the order of its tokens means where the tokens do not tell it themselves: "sequence", "grid" (row
    by row), or None (a set, or tokens that carry their place).
    """

    vector_dim: int
    token_dim: int | None = None
    order: str | None = None


OUTPUT_KINDS = ("classes", "labels", "number", "text")


@dataclass(frozen=True)
class OutputSpec:
    """What a task asks for, as a late fusion must know it: how many outputs, and what they are.

    ``kind`` is "classes" (softmax over C), "labels" (C sigmoids), "number" (one value) or
    "text" (generated; no late fusion answers that).
    """

    num_outputs: int
    kind: str = "classes"

    def __post_init__(self) -> None:
        if self.kind not in OUTPUT_KINDS:
            raise ValueError(f"output kind is {self.kind!r}; expected one of {', '.join(OUTPUT_KINDS)}")


@dataclass
class FusionOutput:
    """What a fusion returns.

    Attributes:
        fused_BD: The fused vector of each row [B, D].
        weights_BM: Share of each modality in the fused vector [B, M], rows sum to 1 over what is present;
            None where the method has no such weights.
        tokens: Fused token sequence [B, T, D], where the method makes one.
        token_mask: Which of these tokens are real [B, T]; None: all.
        attention: Attention over each modality's tokens, a tensor [B, T] or None per modality.
        modality_logits_BMC: What each modality alone would answer [B, M, C]; only a late fusion has it. The model
            trains each of them on the task beside the joint answer; rows where a modality is missing do not count.
        copies: In how many equal parts of ``tokens`` separate towers stand, each trained by itself.
        fixed: How many of these, the last ones, no gradient changes.
        confidence_BM: How far each modality's answer is to be trusted [B, M], where the method says so.
        regulariser: A term of the method's own, a scalar, weighed already; only in training, which adds it to the loss.
    """

    fused_BD: Tensor  # noqa: N815  shape letters
    weights_BM: Tensor | None = None  # noqa: N815
    tokens: Tensor | None = None
    token_mask: Tensor | None = None
    attention: list[Tensor | None] | None = None
    modality_logits_BMC: Tensor | None = None  # noqa: N815
    confidence_BM: Tensor | None = None  # noqa: N815
    regulariser: Tensor | None = None
    copies: int = 1
    fixed: int = 0


def bare_norm(dim: int, normalise: bool) -> nn.Module:
    """A layer norm without learned scale over vectors [.., dim], or nothing where none is asked for."""
    return nn.LayerNorm(dim, elementwise_affine=False) if normalise else nn.Identity()


class Projection(nn.Module):
    """One modality's vector to the shared width: (layer norm,) dropout, linear.

    Args:
        vector_dim: Width in.
        width: Width out.
        normalise: Layer norm without learned scale first. Encoders differ in scale by orders of magnitude;
            without it the loudest one rules the sum.
        dropout: Probability of dropping an input feature in training, in [0, 1).
    """

    def __init__(self, vector_dim: int, width: int, *, normalise: bool, dropout: float) -> None:
        super().__init__()
        self.norm = bare_norm(vector_dim, normalise)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(vector_dim, width)

    def forward(self, vector_BD: Tensor) -> Tensor:
        """Project [B, vector_dim] to [B, width]."""
        projected: Tensor = self.linear(self.dropout(self.norm(vector_BD)))
        return projected


class Fusion(nn.Module):
    """Base of all fusions.

    Args:
        dims: Widths of each modality, in model order.
        width: Width D of the fused vector.
        normalise: Layer-normalise each modality's vector before its projection.
        dropout: Feature dropout in training, in [0, 1).

    Subclasses set ``info`` and ``interaction`` and implement ``forward(encoded, present_BM) ->
    FusionOutput``. ``interaction`` is "additive" (the fused vector is a sum of one term per modality),
    "multiplicative", "attention" or "nonlinear" (a network over the concatenation). A late fusion is "additive" as
    well if its logits are one increasing function, the same for all outputs, of such a sum (the logarithm of a mean of
    probabilities): it decides as the sum does. ``additive_scale`` says what that sum is made of where the outputs are
    classes: "logits", "probabilities", or "evidence" (log growth of evidence); a test for additivity must look there.

    A late fusion (``is_late``) joins predictions, not features: it takes an :class:`OutputSpec` as ``outputs``, its
    ``fused_BD`` are the joint logits [B, C], and the head after it passes them on. A fusion that ``embeds`` hands out
    each modality as a unit vector of one shared space in ``tokens`` [B, M, D]. ``progress`` is the share of all
    training steps that are done, in [0, 1]; training sets it, and it is 1 at any other time.
    """

    info: ClassVar[FusionInfo]
    interaction: str = "additive"
    max_modalities: ClassVar[int | None] = None
    additive_scale: ClassVar[str] = "logits"
    is_late: ClassVar[bool] = False
    embeds: ClassVar[bool] = False
    progress: float = 1.0

    def __init__(self, dims: list[EncodedDims], width: int, *, normalise: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if not dims:
            raise ValueError("a fusion needs at least one modality; none was given")
        if self.max_modalities is not None and len(dims) > self.max_modalities:
            raise ValueError(
                f"fusion {self.info.name!r} takes at most {self.max_modalities} modalities, got {len(dims)}; "
                "use another fusion such as 'concat'"
            )
        self.dims = list(dims)
        self.width = width
        self.normalise = normalise
        self.dropout = dropout

    def projections(self, width: int | None = None) -> nn.ModuleList:
        """One fresh :class:`Projection` per modality, to the fusion's width or another."""
        to = self.width if width is None else width
        return nn.ModuleList(
            Projection(d.vector_dim, to, normalise=self.normalise, dropout=self.dropout) for d in self.dims
        )

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse.

        Args:
            encoded: One per modality: vector [B, D_m], tokens [B, T_m, D_m] or None, mask [B, T_m] or None.
            present_BM: True where the modality is there, [B, M], bool.
        """
        raise NotImplementedError

    def prepare(self, encoded: list[Encoded], present_BM: Tensor) -> list[Encoded]:
        """What the fusion does to encoded modalities before anything else sees them, adapters included: here nothing.

        It has no parameters: it undoes what encoders do to the scale of their numbers. The model calls it.
        """
        return encoded

    def start_from(self, target: np.ndarray, class_weights: list[float] | None) -> None:
        """Take what must be known before training from the encoded targets of the training rows: here nothing."""

    def own_loss(self, fused: FusionOutput, present_BM: Tensor, target: Tensor, rows_B: Tensor | None) -> Tensor | None:
        """A term of the training loss that reads the targets, a scalar, weighed already; here None.

        Args:
            fused: What ``forward`` returned in training.
            present_BM: What the fusion took for present.
            target: Encoded targets of the batch.
            rows_B: Numbers of the batch's rows among all training rows, or None: not known.
        """
        return None

    def after_training(self) -> None:
        """Let go of what only training needs: here nothing."""

    def uncertainty(self, logits_BC: Tensor) -> Tensor | None:
        """How little the answers rest on [B], in [0, 1] (1: on nothing), where the method says so; here None."""
        return None

    def row_loss(self, logits_BC: Tensor, target: Tensor, class_weights_C: Tensor | None) -> Tensor | None:
        """Loss of each row [B] of a late fusion's answers, in place of the task's; None: the task's own."""
        return None


def present_vectors(encoded: list[Encoded], present_BM: Tensor) -> list[Tensor]:
    """Each modality's vector [B, D_m], rows where it is missing set to zero whatever they held."""
    return [
        torch.where(
            present_BM[:, m, None],
            e.vector_BD,
            torch.zeros((), dtype=e.vector_BD.dtype, device=e.vector_BD.device),
        )
        for m, e in enumerate(encoded)
    ]


def masked_mean(terms_BMD: Tensor, present_BM: Tensor) -> Tensor:
    """Mean over the modalities that are present, [B, D]; zero where none is."""
    weights_BM = present_BM.to(terms_BMD.dtype)
    total_B1 = weights_BM.sum(1, keepdim=True).clamp(min=1.0)
    return (terms_BMD * weights_BM[..., None]).sum(1) / total_B1


def masked_softmax(scores_M: Tensor, present_BM: Tensor) -> Tensor:
    """Softmax of learned scores over the modalities that are present [B, M], sum 1; zeros where none is."""
    return torch.softmax(scores_M.expand_as(present_BM).masked_fill(~present_BM, -1e9), dim=1) * present_BM


def check_count(least: int = 1, **options: int) -> None:
    """Refuse options that are not whole numbers of at least ``least``, by name; True and 2.0 are no whole numbers."""
    for option, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{option} must be a whole number, {least} or more; got {value!r}")


def check_weight(**options: float) -> None:
    """Refuse weights of terms of the loss that are no numbers of 0 or more, by name."""
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{option} is the weight of a term of the loss, 0 or more; got {value!r}")


def check_heads(width: int, heads: int) -> None:
    """Refuse a number of attention heads that does not divide the width."""
    check_count(heads=heads)
    if width % heads:
        raise ValueError(f"width must be a multiple of heads, got width={width} and heads={heads}")


FUSIONS: Registry[type[Fusion]] = Registry("fusion", is_open=True)
