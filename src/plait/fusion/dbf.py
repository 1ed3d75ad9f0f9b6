"""Discounted belief fusion (DBF): an opinion that others contradict loses belief to doubt before all are averaged."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, OutputSpec, masked_mean
from plait.fusion.evidential import EvidentialFusion
from plait.fusion.rcml import conflicts


class DBFFusion(EvidentialFusion):
    """e = mean_m C b'_m / u'_m, b'_m = d_m b_m, u'_m = d_m u_m + 1 - d_m, h = log(e + 1).

    d_m = prod_n (1 - c_mn^l)^(1/l) over the other modalities that are there.

    b_m and u_m are belief and doubt as in ``evidential``, c_mn the degree of conflict of two opinions
    (:func:`plait.fusion.rcml.conflicts`), l the strictness. Without conflict d_m = 1 and the evidence is simply
    averaged; an opinion that a sure one contradicts keeps little belief, so the doubt of the whole grows. The order of
    the modalities is nothing. A missing one has no opinion and contradicts none.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for, classes; the model gives it.
        strictness: l, 1 or more: the larger, the more conflict it takes before belief is lost.
        annealing: As in ``evidential``.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own, as the paper does.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: The outputs are labels or a number, or an option is out of range.

    When to use: the uncertainty of an answer is to tell rows in which modalities contradict each other.
    Relatives: ``rcml`` averages without a discount; ``evidential`` multiplies and is surest under conflict.
    Reference: Bezirganyan, Sellami, Berti-Equille, Fournier 2025 (discounted belief fusion, AISTATS).
    """

    info = FusionInfo(
        "dbf",
        "Bezirganyan, Sellami, Berti-Equille, Fournier 2025 (DBF)",
        "e = mean_m C d_m b_m / (d_m u_m + 1 - d_m), d_m = prod_n (1 - conflict_mn); h = log(e + 1)",
        needs_tokens=False,
    )
    interaction = "multiplicative"
    additive_scale = "logits"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        strictness: float = 1.0,
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
        if isinstance(strictness, bool) or not isinstance(strictness, int | float) or not 1 <= strictness < math.inf:
            raise ValueError(f"strictness must be a number, 1 or more; got {strictness!r}")
        self.strictness = strictness

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Log alpha of the mean of the discounted evidence."""
        evidence_BMC = functional.softplus(logits_BMC)
        degree_BMM = conflicts(evidence_BMC, present_BM)
        kept_BM1 = ((1 - degree_BMM**self.strictness) ** (1 / self.strictness)).prod(2)[..., None]
        num_classes = evidence_BMC.shape[2]
        total_BM1 = evidence_BMC.sum(2, keepdim=True) + num_classes
        # C d b / (d u + 1 - d) with b = e / S and u = C / S, free of a division by a doubt that is nearly 0
        left_BMC = num_classes * kept_BM1 * evidence_BMC / (kept_BM1 * num_classes + (1 - kept_BM1) * total_BM1)
        return torch.log1p(masked_mean(left_BMC, present_BM)), None


FUSIONS.add("dbf", DBFFusion)
