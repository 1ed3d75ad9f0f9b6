"""Widths of an encoder, found by encoding one item: configurations name them in too many ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from plait.encoders.base import Encoder

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
