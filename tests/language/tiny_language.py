"""A tiny generator head with fixed random weights, for tests."""

from __future__ import annotations

from typing import Any

import torch

from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.generate import GenerateHead
from plait.language import AnswerTokens, describe_language_model, fit_tokens
from plait.language.network import scratch_config

WIDTH = 12
TEXTS = [
    "a red circle",
    "a blue square",
    "two dogs run on the grass",
    "\u4e00\u53ea\u72d7\u5728\u8349\u5730\u4e0a\u8dd1",
]


def tiny_tokens(**options: Any) -> AnswerTokens:
    return fit_tokens(TEXTS * 3, vocabulary=320, **options)


def tiny_head(tokens: AnswerTokens, *, seed: int = 0, width: int = 16, **options: Any) -> GenerateHead:
    """A head with a two-layer decoder, in evaluation mode; weights are large enough to give peaked answers."""
    torch.manual_seed(seed)
    config = scratch_config(tokens.num_tokens, width=width, layers=2, heads=2, dropout=0.0)
    head = GenerateHead(
        [EncodedDims(4)], WIDTH, 1, language=describe_language_model(config, tokens, tuning="full", **options)
    )
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return head.eval()


def fused_rows(rows: int, length: int = 5, seed: int = 1) -> FusionOutput:
    """Random tokens; row b lacks its first ``b % 3`` ones."""
    generator = torch.Generator().manual_seed(seed)
    tokens_BTD = torch.randn(rows, length, WIDTH, generator=generator)
    mask_BT = torch.arange(length)[None] >= torch.arange(rows)[:, None] % 3
    return FusionOutput(tokens_BTD.mean(1), tokens=tokens_BTD, token_mask=mask_BT)


def row_of(fused: FusionOutput, row: int) -> FusionOutput:
    """One row with nothing but its real tokens."""
    kept_TD = fused.tokens[row][fused.token_mask[row]]
    return FusionOutput(kept_TD.mean(0)[None], tokens=kept_TD[None])


def target_of(tokens: AnswerTokens, rows: list[list[str]]) -> torch.Tensor:
    from plait.tasks import TASKS, LabelState

    return torch.from_numpy(TASKS.get("captioning").encode([tuple(r) for r in rows], LabelState(tokens=tokens)))
