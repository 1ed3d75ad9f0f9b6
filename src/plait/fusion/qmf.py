"""Quality-aware late fusion (QMF): each answer counts as much as it is sure of itself in this row."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, FusionOutput, OutputSpec, check_weight
from plait.fusion.calibration import SeenRows
from plait.fusion.late import LateFusion, check_classes
from plait.fusion.row_history import RowHistory

SCALE = 0.1  # of the energy, in the paper's code


class QMFFusion(LateFusion):
    """h = sum_m w_m f_m(x_m) over what is present, w_m = log sum_c exp f_mc(x_m) / 10.

    w_m is the negative energy of the answer, large where it is far from undecided. That it really tells how good the
    answer is, a term of the training loss sees to: for rows i and j that follow each other in the batch,

    L = mean max(0, g (w_i - w_j) + |k_i - k_j|), g = sign(k_i - k_j),

    k_i the loss of that modality on row i, averaged over all epochs so far and scaled to [0, 1] over all training rows:
    what was learned late or never must be the less sure, by the margin. (In the authors' code the margin has the other
    sign and lets pairs in the wrong order pass; this is the paper's.) The model takes the mean over modalities where
    the paper sums. Since w_m depends on modality m alone, the fusion is additive.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for, classes; the model gives it.
        ranking: Weight of that term, 0 or more.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own, as the paper does.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: The outputs are labels or a number, or ``ranking`` is out of range.

    When to use: the quality of a modality differs from row to row (noise, blur, bad recordings).
    Relatives: ``pdf`` learns to predict how good each answer is; ``late_weighted`` has the same weights for all rows.
    Reference: Zhang, Wu, Zhang, Hu, Fu, Zhou, Peng 2023 (provable dynamic fusion, ICML); Moon, Kim, Shin, Hwang 2020
        (the ranking loss); Liu, Wang, Owens, Li 2020 (the energy).
    """

    info = FusionInfo(
        "qmf",
        "Zhang, Wu, Zhang, Hu, Fu, Zhou, Peng 2023 (QMF)",
        "h = sum_m w_m f_m(x_m), w_m = logsumexp(f_m(x_m)) / 10",
        needs_tokens=False,
    )

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        ranking: float = 1.0,
        hidden_layers: int = 0,
        joint: bool = False,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_classes(self.info.name, outputs)
        super().__init__(
            dims, width, outputs=outputs, hidden_layers=hidden_layers, joint=joint, normalise=normalise, dropout=dropout
        )
        check_weight(ranking=ranking)
        self.ranking = ranking

    def add_parts(self) -> None:
        """What each row has cost so far."""
        self.history = RowHistory(len(self.dims))

    def observe(self, train: SeenRows) -> None:
        """Make room for the training rows."""
        self.history.make_room(len(train.target))

    def after_training(self) -> None:
        """Training rows are nothing to a finished model."""
        self.history.forget()

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Answer modality by modality, and join the answers."""
        output = super().forward(encoded, present_BM)
        assert output.modality_logits_BMC is not None
        return replace(output, confidence_BM=confidence(output.modality_logits_BMC, present_BM))

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Sum of the answers, each times its confidence."""
        return (logits_BMC * confidence(logits_BMC, present_BM)[..., None]).sum(1), None

    def own_loss(self, fused: FusionOutput, present_BM: Tensor, target: Tensor, rows_B: Tensor | None) -> Tensor | None:
        """Confidence must rank rows as their losses so far do; remembers the losses of this batch first."""
        if rows_B is None or self.ranking == 0:
            return None
        assert fused.modality_logits_BMC is not None and fused.confidence_BM is not None
        loss_BM = torch.stack(
            [functional.cross_entropy(f, target, reduction="none") for f in fused.modality_logits_BMC.unbind(1)], dim=1
        )
        self.history.add(rows_B, loss_BM.detach(), present_BM)
        cost_BM = self.history.scaled_means(rows_B)
        return self.ranking * ranking_loss(fused.confidence_BM, cost_BM, present_BM)


def confidence(logits_BMC: Tensor, present_BM: Tensor) -> Tensor:
    """w_m of each row [B, M]; 0 where missing."""
    return SCALE * torch.logsumexp(logits_BMC, dim=2) * present_BM


def ranking_loss(confidence_BM: Tensor, cost_BM: Tensor, present_BM: Tensor) -> Tensor:
    """Mean over modalities of mean max(0, g (w_i - w_j) + |k_i - k_j|), over the rows that have each, in a ring.

    Args:
        confidence_BM: w.
        cost_BM: k, in [0, 1].
        present_BM: What is there.
    """
    terms = []
    for m in range(confidence_BM.shape[1]):
        there = torch.nonzero(present_BM[:, m]).squeeze(1)
        w_R, k_R = confidence_BM[there, m], cost_BM[there, m].to(confidence_BM.dtype)
        w_next_R, k_next_R = torch.roll(w_R, -1), torch.roll(k_R, -1)
        violated_R = torch.sign(k_R - k_next_R) * (w_R - w_next_R) + (k_R - k_next_R).abs()
        terms.append(violated_R.clamp(min=0).sum() / max(1, len(there)))
    return torch.stack(terms).mean()


FUSIONS.add("qmf", QMFFusion)
