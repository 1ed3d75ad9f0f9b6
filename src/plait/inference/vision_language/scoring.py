"""Natural log-probabilities of given answers behind a request, from one whole pass each: the model's own, no cache."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.inference.vision_language.prompts import Prompter

ANSWER_KIND = {"paligemma": 1}  # token_type_ids of an answer: PaliGemma reads its prefix (0) in both directions


def answer_scores(model: Any, prompter: Prompter, inputs: dict[str, Any], answers: Sequence[str]) -> np.ndarray:
    """Log-probability of each answer's tokens behind each request, summed and as a mean a token, [2, B, A].

    The end of an answer is not counted.

    Args:
        model: The network, in evaluation mode.
        prompter: How its answers are cut.
        inputs: What ``Prompter.batch`` gave, on the model's device.
        answers: The answers.

    Raises:
        ValueError: An answer is empty.
    """
    rows = len(inputs["input_ids"])
    scores = np.zeros((2, rows, len(answers)))
    for number, ids in enumerate(prompter.answer_ids(answer) for answer in answers):
        logs = token_scores(model, inputs, [ids] * rows)
        scores[0, :, number] = [math.fsum(row) for row in logs]
        scores[1, :, number] = scores[0, :, number] / len(ids)
    return scores


@torch.inference_mode()
def token_scores(model: Any, inputs: dict[str, Any], ids: Sequence[Sequence[int]]) -> list[list[float]]:
    """Natural log-probability of each given token of each row, behind the request and the tokens before it.

    Args:
        model: The network, in evaluation mode.
        inputs: What ``Prompter.batch`` gave, on the model's device.
        ids: Token ids of each row, one at least.
    """
    answer_BL, real_BL = padded_answers(ids)
    chosen_BL = token_logs(model, inputs, answer_BL, real_BL)
    return checked_scores([logs[: len(row)] for logs, row in zip(chosen_BL.tolist(), ids, strict=True)])


def padded_answers(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Answers of different lengths as one block [B, L], each padded with its last token, and 1 where it is real."""
    longest = max(len(row) for row in ids)
    answer_BL = torch.tensor([[*row, *[row[-1]] * (longest - len(row))] for row in ids])
    return answer_BL, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])


def token_logs(model: Any, inputs: dict[str, Any], answer_BL: Tensor, real_BL: Tensor) -> Tensor:
    """Natural log-probability of each token of an answer, [B, L], from one pass; those of padding mean nothing.

    Gradients flow where the caller lets them. Only the answer's logits are made: those of the request, whose vocabulary
    is by far the largest tensor, are left out where the model can.
    """
    device, longest = inputs["input_ids"].device, answer_BL.shape[1]
    answer_BL, real_BL = answer_BL.to(device), real_BL.to(device)
    kept = {"logits_to_keep": longest + 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    kind = ANSWER_KIND.get(model.config.model_type, 0)
    output = model(**_longer(inputs, answer_BL, real_BL, kind), use_cache=False, **kept)
    log_BLV = torch.log_softmax(output.logits[:, -longest - 1 : -1].float(), dim=2)
    return log_BLV.gather(2, answer_BL[..., None])[..., 0]


def checked_scores(scores: list[list[float]]) -> list[list[float]]:
    """The same log-probabilities.

    Raises:
        ValueError: One is no number, as of weights that are none.
    """
    if any(math.isnan(score) for row in scores for score in row):
        raise ValueError(
            "the model gives probabilities that are no numbers (NaN): its weights are damaged, or too large for its "
            "type (dtype='float32' holds more)"
        )
    return scores


def _longer(inputs: dict[str, Any], answer_BL: Tensor, real_BL: Tensor, kind: int) -> dict[str, Any]:
    """Model inputs with an answer behind each request, whose tokens are of the kind of written text."""
    shape = inputs["input_ids"].shape
    added = {"input_ids": answer_BL, "attention_mask": real_BL}
    made: dict[str, Any] = {}
    for name, value in inputs.items():
        if not isinstance(value, Tensor) or value.shape[:2] != shape:
            made[name] = value
            continue
        more = added.get(name)
        if more is None:  # kinds of tokens, or which pictures a token sees (Mllama): those that the last one does
            last = value[:, -1:].expand(-1, answer_BL.shape[1], *value.shape[2:])
            more = torch.full_like(last, kind if name == "token_type_ids" else 0) if value.ndim == 2 else last
        made[name] = torch.cat([value, more.to(value.dtype)], dim=1)
    return made
