"""What objectives see of one training step, beside the loss of the joint answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.fusion.base import FusionOutput


@dataclass(frozen=True)
class Step:
    """One batch of training.

    Attributes:
        encoded: Adapted modalities.
        present_BM: What is there, whatever modality dropout hides from the fusion.
        target: Encoded targets.
        losses: Answers of each modality alone [B, M, C] to their task losses [M].
        fuse: Encoded modalities and what may be seen of them to what the fusion makes of them.
        encoders: Encoders inside the model that belong to one modality alone, by its number as text.
        group_B: Group number of each row, or None: no contrastive objective.
        key_BM: Item number of each modality of each row, or None: no contrastive objective.
        rows_B: Number of each row among all training rows, or None: nothing that remembers rows.
        shown_BM: What the fusion was shown, or None: no objective that asks for an answer again.
        answer: Encoded modalities and what may be seen of them to logits [B, C] and their mean loss, or None.
    """

    encoded: list[Encoded]
    present_BM: Tensor  # noqa: N815  shape letters
    target: Tensor
    losses: Callable[[Tensor], Tensor]
    fuse: Callable[[list[Encoded], Tensor], FusionOutput]
    encoders: Mapping[str, nn.Module]
    group_B: Tensor | None = None  # noqa: N815
    key_BM: Tensor | None = None  # noqa: N815
    rows_B: Tensor | None = None  # noqa: N815
    shown_BM: Tensor | None = None  # noqa: N815
    answer: Callable[[list[Encoded], Tensor], tuple[Tensor, Tensor]] | None = None

    @property
    def vectors(self) -> list[Tensor]:
        """Adapted vectors [B, D_m]."""
        return [e.vector_BD for e in self.encoded]
