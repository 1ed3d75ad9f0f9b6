"""What training has seen of each row so far: for fusions that compare a row with the others over epochs.

It is kept in buffers, so that a checkpoint holds it and a run that was stopped goes on equal; a finished model has
none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RowHistory(nn.Module):
    """Mean of a number of each row and modality over the times it was seen.

    Args:
        num_modalities: M.
    """

    sum_NM: Tensor  # noqa: N815  shape letters
    count_NM: Tensor  # noqa: N815

    def __init__(self, num_modalities: int) -> None:
        super().__init__()
        self.register_buffer("sum_NM", torch.zeros(0, num_modalities))
        self.register_buffer("count_NM", torch.zeros(0, num_modalities))

    @torch.no_grad()
    def make_room(self, num_rows: int) -> None:
        """Hold at least so many rows; what is known stays."""
        missing = num_rows - len(self.sum_NM)
        if missing > 0:
            empty_NM = self.sum_NM.new_zeros(missing, self.sum_NM.shape[1])
            self.sum_NM = torch.cat([self.sum_NM, empty_NM])
            self.count_NM = torch.cat([self.count_NM, empty_NM])

    @torch.no_grad()
    def add(self, rows_B: Tensor, value_BM: Tensor, present_BM: Tensor) -> None:
        """Take a number of each row and modality; those that are missing do not count."""
        self.make_room(int(rows_B.max()) + 1)
        there_BM = present_BM.to(self.sum_NM.dtype)
        self.sum_NM.index_add_(0, rows_B, value_BM.to(self.sum_NM.dtype) * there_BM)
        self.count_NM.index_add_(0, rows_B, there_BM)

    @torch.no_grad()
    def scaled_means(self, rows_B: Tensor) -> Tensor:
        """Mean of each row and modality [B, M], between 0 and 1: the lowest and the highest over all rows seen."""
        mean_NM = self.sum_NM / self.count_NM.clamp(min=1)
        seen_NM = self.count_NM > 0
        low_M = mean_NM.masked_fill(~seen_NM, torch.inf).amin(0)
        high_M = mean_NM.masked_fill(~seen_NM, -torch.inf).amax(0)
        width_M = torch.where(high_M > low_M, high_M - low_M, torch.ones_like(low_M))
        scaled_BM = (mean_NM[rows_B] - torch.where(seen_NM.any(0), low_M, torch.zeros_like(low_M))) / width_M
        return torch.where(seen_NM[rows_B], scaled_BM, torch.zeros_like(scaled_BM))

    def forget(self) -> None:
        """Hold nothing any more: training is over."""
        self.sum_NM, self.count_NM = self.sum_NM[:0], self.count_NM[:0]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take as many rows as were saved."""
        for name in ("sum_NM", "count_NM"):
            if f"{prefix}{name}" in state_dict:
                setattr(self, name, torch.zeros_like(state_dict[f"{prefix}{name}"], device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
