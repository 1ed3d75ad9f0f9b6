"""What training keeps in memory of a batch that is worked out in parts, and what it computes again on the way back.

Keeping activations costs memory, computing them again costs about a third more time. So parts are kept as they come
while those before have left room in a share of the free memory, counted by what autograd really holds of them; the
others are computed again. Vectors, tokens and gradients are the same either way.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from plait.data.memory import available_memory
from plait.encoders.base import Encoded, Encoder

FREE_SHARE = 4  # a quarter: the way back, the optimizer and other processes need memory too


class KeptActivations:
    """Encodes the parts of one batch while training.

    Args:
        encoder: The encoder.
        device: Where it works.
    """

    def __init__(self, encoder: Encoder, device: torch.device) -> None:
        self.encoder = encoder
        self.left = free_memory(device) // FREE_SHARE
        self.largest = 0

    def encode(self, part: dict[str, Tensor]) -> Encoded:
        """One part; the first is always kept."""
        if self.largest > self.left:
            return recomputed(self.encoder, part)
        with counted_activations([*self.encoder.parameters(), *part.values()]) as held:
            made = self.encoder(**part)
        size = sum(held.values())
        self.left, self.largest = self.left - size, max(self.largest, size)
        return made  # type: ignore[no-any-return]


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device; none for one of several worker processes, which all see the same memory."""
    if multiprocessing.parent_process() is not None:
        return 0
    if device.type != "cuda":
        return available_memory()
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


@contextmanager
def counted_activations(given: Iterable[Tensor]) -> Iterator[dict[int, int]]:
    """Bytes that autograd holds of what the block computes, by address; weights and inputs are there anyway."""
    known = {tensor.untyped_storage().data_ptr() for tensor in given}
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield held


def recomputed(encoder: Encoder, part: dict[str, Tensor]) -> Encoded:
    """One part, whose activations are computed again on the way back; random numbers are drawn as the first time."""

    def run(names: tuple[str, ...], *tensors: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        made = encoder(**dict(zip(names, tensors, strict=True)))
        return made.vector_BD, made.tokens_BTD, made.mask_BT

    return Encoded(*checkpoint(run, tuple(part), *part.values(), use_reentrant=False))
