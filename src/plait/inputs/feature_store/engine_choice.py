"""Which engine encodes what a store lacks: PyTorch, or OpenVINO where it saves more time than its start costs.

The choice depends on numbers of items and threads and on what is stored, never on a clock, so the same run chooses
alike. Each engine has a space of its own in the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from plait.encoders.engine import EngineError, is_proven, refusal

ENGINES = ("torch", "openvino", "openvino-bf16", "openvino-int8")
PRODUCTS = {"openvino-bf16": "bfloat16", "openvino-int8": "int8"}  # of an engine; float32 elsewhere


@dataclass(frozen=True)
class Gain:
    """What OpenVINO is reckoned at for one kind of item; measured by ``benchmarks/engine.py``.

    Attributes:
        share: Of PyTorch's time an item takes, in (0, 1).
        even: So many items a thread must be lacking, in both spaces, before the start is paid for.
    """

    share: float
    even: int


GAINS = {"image": Gain(0.4, 256), "text": Gain(0.8, 4096)}
NO_SOUNDS = "sounds are left to PyTorch (a Whisper ended the process where a batch had another length than the first)"


def chosen_engine(
    asked: str, kind: str, encoder: torch.nn.Module, target: torch.device, with_tokens: bool,
    lacking: Callable[[str], int], *, required: bool = False,
) -> str:  # fmt: skip
    """The engine to encode with, "torch", "openvino", "openvino-bf16" or "openvino-int8".

    Args:
        asked: "auto" or one of ``ENGINES``. Those of fewer bits are "openvino" for what is no text: the convolutions
            of a picture's network gain nothing by eight bits, and lose too much by bfloat16 (decision 37).
        kind: Of the items: "text", "image" or "audio".
        encoder: The encoder.
        target: Where it works.
        with_tokens: Whether its tokens are wanted.
        lacking: How many items the space of an engine lacks.
        required: Whether an engine that was asked for by name must work.

    Raises:
        EngineError: OpenVINO is required and cannot work.
        ValueError: No such engine.
    """
    if asked not in (*ENGINES, "auto"):
        raise ValueError(f"engine is {asked!r}; give auto, torch, openvino, openvino-bf16 or openvino-int8")
    if asked == "torch":
        return "torch"
    if target.type != "cpu":
        if asked != "auto" and required:
            raise EngineError(f"it works on CPUs, and this encoder works on {target}")
        return "torch"
    if kind not in GAINS:
        if asked != "auto":
            raise EngineError(NO_SOUNDS if kind == "audio" else f"items of the kind {kind!r} are left to PyTorch")
        return "torch"
    if asked == "auto" and lacking("torch") == 0:
        return "torch"
    named = asked if asked in PRODUCTS and kind == "text" else "openvino"
    if lacking(named) == 0:  # reading needs no engine
        return named
    reason = refusal(encoder, with_tokens, PRODUCTS.get(named, "float32"))
    if asked != "auto":
        if reason is not None:
            raise EngineError(reason)
        return named
    if reason is not None or not is_proven(encoder):
        return "torch"
    gain = GAINS[kind]
    start = gain.even * torch.get_num_threads() * (1 - gain.share)
    return "openvino" if lacking("torch") >= gain.share * lacking("openvino") + start else "torch"
