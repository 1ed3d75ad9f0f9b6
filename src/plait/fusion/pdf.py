"""Predictive dynamic fusion (PDF): each answer counts as much as a small network predicts that it is right here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FUSIONS, EncodedDims, FusionInfo, FusionOutput, OutputSpec, Projection, present_vectors
from plait.fusion.late import LateFusion, check_classes

TINY = 1e-8


class PDFFusion(LateFusion):
    """h = sum_m w_m f_m(x_m), w = softmax over what is present of r_m (q_m + o_m).

    q_m = sigmoid(v_m . x_m + d_m) predicts the probability that modality m gives the right class (own confidence);
    o_m = sum_{n != m} log q_n / sum_n log q_n is large where the others are not sure (holo-confidence). r_m calibrates
    at prediction time: the ratio of D_m = mean_c |p_mc - 1 / C|, how far an answer is from undecided, to the mean D of
    the others, at most 1. Alone, a modality has weight 1; with nothing present the answer is 0 for every class.

    q_m learns by its absolute difference to the probability that f_m gives the right class, on vectors without
    gradient; the joint answer does not train it. The paper's network for q_m is three linear layers without anything
    between them, which is one. For more than two modalities the paper's formulas are read as the sums and means above;
    for two they are the authors' code.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for, classes; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own, as the paper does.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Raises:
        ValueError: The outputs are labels or a number.

    When to use: the quality of a modality differs from row to row, and there are rows enough to learn to see it.
    Relatives: ``qmf`` takes the confidence from the answer itself; ``gated`` weighs features, not answers.
    Reference: Cao, Xia, Ding, Zhang, Hu 2024 (predictive dynamic fusion, ICML).
    """

    info = FusionInfo(
        "pdf",
        "Cao, Xia, Ding, Zhang, Hu 2024 (PDF)",
        "h = sum_m w_m f_m(x_m), w = softmax_m r_m (q_m + sum_{n != m} log q_n / sum_n log q_n), q_m = s(v_m x_m)",
        needs_tokens=False,
    )
    interaction = "multiplicative"

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        *,
        outputs: OutputSpec,
        hidden_layers: int = 0,
        joint: bool = False,
        normalise: bool = True,
        dropout: float = 0.0,
    ) -> None:
        check_classes(self.info.name, outputs)
        super().__init__(
            dims, width, outputs=outputs, hidden_layers=hidden_layers, joint=joint, normalise=normalise, dropout=dropout
        )

    def add_parts(self) -> None:
        """What predicts each modality's confidence."""
        self.confidences = nn.ModuleList(
            Projection(d.vector_dim, 1, normalise=self.normalise, dropout=self.dropout) for d in self.dims
        )

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Answer modality by modality, and join the answers by their predicted confidence."""
        logits_BMC = self.predictors(encoded, present_BM)
        vectors = present_vectors(encoded, present_BM)
        if self.training:
            vectors = [v.detach() for v in vectors]
        scores = [f(v)[:, 0] for f, v in zip(self.confidences, vectors, strict=True)]
        own_BM = torch.sigmoid(torch.stack(scores, dim=1))
        belief_BM = own_BM + holo_confidence(own_BM, present_BM)
        if not self.training:
            belief_BM = belief_BM * calibration(logits_BMC, present_BM)
        weights_BM = torch.softmax(belief_BM.masked_fill(~present_BM, -1e9), dim=1) * present_BM
        joined_BMC = logits_BMC
        if self.training:
            weights_BM = weights_BM.detach()
            joined_BMC = logits_BMC if self.joint else logits_BMC.detach()
        return FusionOutput(
            (joined_BMC * weights_BM[..., None]).sum(1), weights_BM=weights_BM, modality_logits_BMC=logits_BMC,
            confidence_BM=own_BM,
        )  # fmt: skip

    def own_loss(self, fused: FusionOutput, present_BM: Tensor, target: Tensor, rows_B: Tensor | None) -> Tensor | None:
        """|q_m - probability of the right class under f_m|, mean over the rows that have m, summed over modalities."""
        assert fused.modality_logits_BMC is not None and fused.confidence_BM is not None
        proba_BMC = torch.softmax(fused.modality_logits_BMC.detach(), dim=2)
        right_BM = proba_BMC.gather(2, target[:, None, None].expand(-1, proba_BMC.shape[1], 1)).squeeze(2)
        there_BM = present_BM.to(right_BM.dtype)
        apart_BM = (fused.confidence_BM - right_BM).abs() * there_BM
        return (apart_BM.sum(0) / there_BM.sum(0).clamp(min=1)).sum()


def holo_confidence(own_BM: Tensor, present_BM: Tensor) -> Tensor:
    """o_m = sum_{n != m} log q_n / sum_n log q_n over what is present [B, M], in [0, 1]; 0 for one that is alone."""
    doubt_BM = -torch.log(own_BM.clamp(min=TINY)) * present_BM
    total_B1 = doubt_BM.sum(1, keepdim=True)
    return (total_B1 - doubt_BM) / (total_B1 + TINY)


def calibration(logits_BMC: Tensor, present_BM: Tensor) -> Tensor:
    """r_m = min(1, D_m / mean_{n != m} D_n), D_m = mean_c |p_mc - 1 / C| [B, M]; 1 for one that is alone."""
    decided_BM = (torch.softmax(logits_BMC, dim=2) - 1 / logits_BMC.shape[2]).abs().mean(2) * present_BM
    others_BM = (present_BM.sum(1, keepdim=True) - 1).clamp(min=1)
    mean_BM = (decided_BM.sum(1, keepdim=True) - decided_BM) / others_BM
    ahead_BM = decided_BM >= mean_BM
    return torch.where(ahead_BM, 1.0, decided_BM / torch.where(ahead_BM, 1.0, mean_BM))


FUSIONS.add("pdf", PDFFusion)
