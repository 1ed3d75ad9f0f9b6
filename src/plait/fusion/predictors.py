"""What late fusions join: one predictor per modality, trained on the task by itself.

In: encoded modalities. Out: each modality's own logits, zeros where it is missing. The predictors learn from the task
loss of their own answers, which the model adds (``PlaitModel.modality_loss``). The joint answer is combined from
detached logits in training, or one modality would be trained to make up for another and late fusion would be late
in name only; ``joint=True`` lets its gradient through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims, OutputSpec, check_count, present_vectors


class ModalityPredictors(nn.Module):
    """l_m = f_m(x_m), f_m linear or a network with ``hidden_layers`` GELU layers.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for.
        hidden_layers: Number of hidden layers, 0 or more.
        joint: Let the joint answer's gradient reach the predictors.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).
    """

    def __init__(
        self,
        dims: list[EncodedDims],
        width: int,
        outputs: OutputSpec,
        *,
        hidden_layers: int,
        joint: bool,
        normalise: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_count(0, hidden_layers=hidden_layers)
        self.joint = joint
        self.networks = nn.ModuleList()
        for d in dims:
            norm = nn.LayerNorm(d.vector_dim, elementwise_affine=False) if normalise else nn.Identity()
            layers: list[nn.Module] = [norm, nn.Dropout(dropout)]
            size = d.vector_dim
            for _ in range(hidden_layers):
                layers += [nn.Linear(size, width), nn.GELU(), nn.Dropout(dropout)]
                size = width
            self.networks.append(nn.Sequential(*layers, nn.Linear(size, outputs.num_outputs)))

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> tuple[Tensor, Tensor]:
        """Return each modality's logits [B, M, C], zero where missing, and the same as the joint answer takes them."""
        vectors = present_vectors(encoded, present_BM)
        logits_BMC = torch.stack([f(v) for f, v in zip(self.networks, vectors, strict=True)], dim=1)
        logits_BMC = torch.where(present_BM[..., None], logits_BMC, torch.zeros_like(logits_BMC))
        return logits_BMC, logits_BMC.detach() if self.training and not self.joint else logits_BMC


PREDICTOR_PARAMETERS = "sum(k*h + h + (hidden_layers - 1)*(h*h + h) + h*C + C if hidden_layers else k*C + C for k in d)"
