"""The rows of all processes together, so that a contrastive loss sees the same negatives on one machine and on many.

Each process holds its own rows; every process gets all of them, in the order of the processes. Gradients flow back to
the rows of every process and are summed. A trainer that averages gradients over processes (DDP) then steps exactly as
one process with the whole batch would.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch import distributed as dist


def gather_rows(rows_BX: Tensor) -> Tensor:
    """Rows of all processes, one after the other; the rows themselves where there is one process.

    Args:
        rows_BX: [B, ...]; B may differ between processes, the rest not.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows_BX
    return cast(Tensor, _Gather.apply(rows_BX))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """Forward: all rows, padded to the largest share for the trip. Backward: the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx: Any, rows_BX: Tensor) -> Tensor:
        count = torch.tensor([len(rows_BX)], device=rows_BX.device)
        counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, count)
        ctx.counts = [int(c) for c in counts]
        most = max(ctx.counts)
        padded = rows_BX.new_zeros((most, *rows_BX.shape[1:]))
        padded[: len(rows_BX)] = rows_BX
        parts = [torch.zeros_like(padded) for _ in ctx.counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, ctx.counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        start = sum(ctx.counts[: dist.get_rank()])
        return summed[start : start + ctx.counts[dist.get_rank()]]
