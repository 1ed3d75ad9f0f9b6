"""How much an encoder works on at once: a budget of bytes, whatever the length of the items.

A forward needs memory in proportion to its padded inputs, many times their size. So batches are cut where their padded
inputs reach a budget: by those who make batches (:func:`forward_bytes`), and inside a model by
:func:`encode_by_bytes`, for batches that came whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from plait.data.memory import most_forward_bytes
from plait.encoders.activations import KeptActivations
from plait.encoders.base import BATCH_MB, Encoded, Encoder

CUDA_FACTOR = 16  # an accelerator is fed larger batches; where its memory runs out, encoding halves them
TOKEN_BYTES = 1024  # a token becomes a vector of hundreds of numbers
LEARNING_FACTOR = 2  # training may hold this many budgets before a batch is worked out in parts
SAMPLE_FACTOR = 8  # a network that hears samples spreads them over hundreds of channels
logger = logging.getLogger(__name__)


def forward_bytes(inputs: Mapping[str, Tensor]) -> int:
    """What a forward is reckoned at, in bytes of pictures or spectrograms that need as much memory.

    Args:
        inputs: Processor tensors [B, ...]: whole numbers [B, T] are tokens, other numbers [B, T] samples of sound, and
            what has more sides counts as it is. Masks cost nothing.
    """
    total = 0
    for name, tensor in inputs.items():
        if tensor.dtype == torch.bool or "mask" in name:
            continue
        if not tensor.is_floating_point():
            total += tensor.numel() * TOKEN_BYTES
        else:
            total += tensor.nbytes * (SAMPLE_FACTOR if tensor.ndim == 2 else 1)
    return total


def most_bytes(encoder: Any, device: torch.device) -> int:
    """The budget of one forward: the encoder's ``batch_mb``, less where a bound of memory leaves little.

    It is more on an accelerator, whose memory that bound does not count.
    """
    budget = int(getattr(encoder, "batch_mb", BATCH_MB) * 2**20)
    return budget * CUDA_FACTOR if device.type == "cuda" else most_forward_bytes(budget)


def encode_by_bytes(encoder: Encoder, **inputs: Tensor) -> Encoded:
    """The encoder's answer, worked out a few items at a time where the batch is past the budget.

    Items do not see each other in an encoder, so vectors, tokens and gradients are those of the whole batch. While
    training, parts whose activations would take too much of the free memory are computed again on the way back
    (:mod:`plait.encoders.activations`). Batch normalisation that learns does see the whole batch: it is given it at
    once, which is said once.

    Args:
        encoder: The encoder.
        **inputs: Processor tensors [B, ...].
    """
    if torch.compiler.is_exporting():  # a graph takes batches of any size in one way
        return encoder(**inputs)  # type: ignore[no-any-return]
    example = next(iter(inputs.values()))
    budget, size = most_bytes(encoder, example.device), forward_bytes(inputs)
    learns = torch.is_grad_enabled() and any(weight.requires_grad for weight in encoder.parameters())
    is_small = size <= budget * (LEARNING_FACTOR if learns else 1) or len(example) == 1
    if is_small or encoder.is_exact:  # an exact one needs little
        return encoder(**inputs)  # type: ignore[no-any-return]
    if learns and mixes_items(encoder):
        _say_once(encoder, size, budget)
        return encoder(**inputs)  # type: ignore[no-any-return]
    at_once = max(1, len(example) * budget // size)
    encode: Callable[[dict[str, Tensor]], Encoded]
    encode = KeptActivations(encoder, example.device).encode if learns else lambda part: encoder(**part)
    parts = []
    for start in range(0, len(example), at_once):
        part = {name: tensor[start : start + at_once] for name, tensor in inputs.items()}
        parts.append(encode(part))
    return join_encoded(parts)


def join_encoded(parts: list[Encoded]) -> Encoded:
    """Parts of a batch as one; tokens get zeros behind the shorter parts, and False in the mask."""
    vectors_BD = torch.cat([part.vector_BD for part in parts])
    tokens, masks = [part.tokens_BTD for part in parts], [part.mask_BT for part in parts]
    tokens_BTD = _join_padded([t for t in tokens if t is not None]) if tokens[0] is not None else None
    mask_BT = _join_padded([m for m in masks if m is not None]) if masks[0] is not None else None
    return Encoded(vectors_BD, tokens_BTD, mask_BT)


def _join_padded(parts: list[Tensor]) -> Tensor:
    longest = max(part.shape[1] for part in parts)
    if all(part.shape[1] == longest for part in parts):
        return torch.cat(parts)
    joined = parts[0].new_zeros((sum(map(len, parts)), longest, *parts[0].shape[2:]))
    start = 0
    for part in parts:
        joined[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return joined


def mixes_items(encoder: nn.Module) -> bool:
    """Whether batch normalisation that learns lets items of a batch see each other."""
    kinds = (nn.modules.batchnorm._BatchNorm,)
    return any(isinstance(module, kinds) and module.training for module in encoder.modules())


def _say_once(encoder: Encoder, size: int, budget: int) -> None:
    if getattr(encoder, "was_said", False):
        return
    encoder.was_said = True  # type: ignore[assignment]
    logger.warning(
        "%s learns with batch normalisation, which needs a batch whole: %.0f MB of inputs at once where "
        "encoders.batch_mb allows %.0f; if memory runs out, lower train.batch_size or encoders.image_size",
        encoder.reference, size / 2**20, budget / 2**20,
    )  # fmt: skip
