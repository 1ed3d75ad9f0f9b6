"""Late fusion: each modality answers the task by itself, and the answers are joined.

The predictors learn from the task loss of their own answers, which the model adds (``PlaitModel.modality_loss``). The
joint answer is combined from detached logits in training, or one modality would be trained to make up for another and
late fusion would be late in name only; ``joint=True`` lets its gradient through.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import EncodedDims, Fusion, FusionOutput, OutputSpec, bare_norm, check_count, present_vectors


class LateFusion(Fusion):
    """Base of all late fusions: the predictors l_m = f_m(x_m), linear or with ``hidden_layers`` GELU layers.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the joint answer as well as on their own.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    Subclasses implement ``join``, and ``add_parts`` where they have parameters or buffers beside the predictors.
    """

    interaction = "additive"
    is_late = True

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
        super().__init__(dims, width, normalise=normalise, dropout=dropout)
        check_count(0, hidden_layers=hidden_layers)
        self.outputs = outputs
        self.joint = joint
        self.predictors = ModalityPredictors(
            dims, width, outputs.num_outputs, hidden_layers=hidden_layers, normalise=normalise, dropout=dropout
        )
        self.add_parts()

    def add_parts(self) -> None:
        """Add what a method has beside the predictors: here nothing."""

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, Tensor | None]:
        """Joint logits [B, C] of the modalities' logits (zero where missing), and weights [B, M] if there are any."""
        raise NotImplementedError

    def forward(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Answer modality by modality, and join the answers."""
        logits_BMC = self.predictors(encoded, present_BM)
        joined_BMC = logits_BMC.detach() if self.training and not self.joint else logits_BMC
        fused_BC, weights_BM = self.join(joined_BMC, present_BM)
        return FusionOutput(fused_BC, weights_BM=weights_BM, modality_logits_BMC=logits_BMC)


def check_classes(name: str, outputs: OutputSpec) -> None:
    """Refuse outputs other than classes, of which exactly one is right."""
    if outputs.kind != "classes":
        raise ValueError(
            f"fusion {name!r} joins answers about classes, got outputs that are {outputs.kind!r}; "
            "use another late fusion such as 'late_mean' (set=['fusion.name=late_mean'])"
        )


class ModalityPredictors(nn.Module):
    """One predictor a modality: its vector to logits, zeros where it is missing."""

    def __init__(
        self, dims: list[EncodedDims], width: int, num_outputs: int, *, hidden_layers: int, normalise: bool,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.networks = nn.ModuleList()
        for d in dims:
            layers: list[nn.Module] = [bare_norm(d.vector_dim, normalise), nn.Dropout(dropout)]
            size = d.vector_dim
            for _ in range(hidden_layers):
                layers += [nn.Linear(size, width), nn.GELU(), nn.Dropout(dropout)]
                size = width
            self.networks.append(nn.Sequential(*layers, nn.Linear(size, num_outputs)))

    def forward(self, encoded: list[Encoded], present_BM: Tensor, *, learning: int | None = None) -> Tensor:
        """Return each modality's logits [B, M, C]; all but ``learning``, if it is set, are out of the graph."""
        vectors = present_vectors(encoded, present_BM)
        answers = [f(v) for f, v in zip(self.networks, vectors, strict=True)]
        if learning is not None:
            answers = [a if m == learning else a.detach() for m, a in enumerate(answers)]
        logits_BMC = torch.stack(answers, dim=1)
        return torch.where(present_BM[..., None], logits_BMC, torch.zeros_like(logits_BMC))
