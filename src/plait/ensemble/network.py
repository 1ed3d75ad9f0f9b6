"""A trained network as a member: the fused one, one modality alone, another seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.model import PlaitModel
from plait.tasks import LabelState


class NetworkMember(Member):
    """See the module.

    Args:
        network: The network.
        uses: Numbers of its modalities among those of the ensemble, in the network's order.
        labels: Turns its logits into outputs.

    Attributes:
        mark: Begins the names of tensors that this network's own encoders made, where they were encoded before.
    """

    mark = ""

    def __init__(self, network: PlaitModel, uses: tuple[int, ...], labels: LabelState) -> None:
        super().__init__()
        self.network, self.uses, self.labels = network, uses, labels

    def prepare(self, inputs: Inputs, present_BM: Tensor) -> Any:
        """Encoded modalities."""
        own = {name: self._own(tensors) for name, tensors in inputs.items()}
        return self.network.encode(own, present_BM[:, list(self.uses)])

    def _own(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a modality with what this network's encoder made of it, if that is there."""
        made = {k.removeprefix(self.mark): v for k, v in tensors.items() if self.mark and k.startswith(self.mark)}
        return {**tensors, **made} if made else tensors

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Outputs [B, C]."""
        seen_BM = present_BM[:, list(self.uses)]
        logits_BC = self.network.head(self.network.fuse(encoded, seen_BM), seen_BM)
        logits = torch.as_tensor(logits_BC).float().cpu().numpy()
        return np.asarray(self.network.task.activate(logits, self.labels), dtype=np.float64)
