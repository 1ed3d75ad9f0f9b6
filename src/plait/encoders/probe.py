"""Widths of an encoder, found by encoding one item: configurations name them in too many ways.

And whether a text gets the same vector beside any other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from plait.encoders.base import Encoder

MOST_APART = 1e-3  # of the length of a vector
FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError)


def probed_widths(encoder: Encoder, **inputs: Tensor) -> tuple[int, int | None]:
    """Width of the vector and of the tokens (None without tokens).

    Raises:
        ValueError: The encoder cannot encode such an item, so that it could encode none.
    """
    made: Any = None
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            made = encoder(**inputs)
    except FAILURES as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        kind = encoder.description.get("hf", {}).get("model_type")
        raise ValueError(f"{encoder.reference} cannot be used as an encoder (model type {kind!r}): {detail}") from error
    tokens_BTD = made.tokens_BTD
    return int(made.vector_BD.shape[-1]), None if tokens_BTD is None else int(tokens_BTD.shape[-1])


def refuse_neighbours(encoder: Encoder, alone: dict[str, Tensor], beside: dict[str, Tensor]) -> None:
    """Refuse an encoder that gives an item another vector beside a longer one, which no index could be searched with.

    Args:
        encoder: The encoder.
        alone: Tensors of one item.
        beside: Tensors of the same item, first, and a longer one.

    Raises:
        ValueError: The vectors differ by more than a thousandth of their length.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        first_D, again_D = encoder(**alone).vector_BD[0], encoder(**beside).vector_BD[0]
    gap = float((first_D - again_D).norm() / first_D.norm().clamp(min=1e-9))
    if gap > MOST_APART:
        kind = encoder.description.get("hf", {}).get("model_type")
        raise ValueError(
            f"{encoder.reference} gives a text another vector beside a longer one ({gap:.0%} of its length; model type "
            f"{kind!r}): its network minds how texts are filled up, so nothing could be searched with it"
        )
