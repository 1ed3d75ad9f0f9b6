"""What chooses the epoch of a model that writes text: its answers to some validation rows, measured like in the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.heads.language import DecodeOptions
from plait.inference.generation import answer_loss, write_rows
from plait.inputs.dataset import RowBatches
from plait.metrics.answers import exact_match
from plait.metrics.captioning import caption_metrics
from plait.model import PlaitModel
from plait.training.plan import Plan
from plait.training.scores import EPOCH_SCORES

MOST_ROWS = 256
FEWEST_CAPTIONED = 10  # CIDEr-D counts in how many images a phrase occurs; on fewer the loss chooses


def merged_references(index_NM: np.ndarray, values: list[tuple[str, ...]]) -> tuple[np.ndarray, list[list[str]]]:
    """Rows that show the same items as one: the first row of each, and the references of all of them.

    Args:
        index_NM: Items of each row.
        values: References of each row.

    Returns:
        Positions of the first rows, in order [U], and references [U][R].
    """
    place: dict[bytes, int] = {}
    first: list[int] = []
    merged: list[list[str]] = []
    for row, answers in enumerate(values):
        key = index_NM[row].tobytes()
        if key not in place:
            place[key] = len(first)
            first.append(row)
            merged.append([])
        merged[place[key]] += answers
    return np.array(first, dtype=np.int64), merged


def text_score(plan: Plan, model: PlaitModel, val: RowBatches) -> dict[str, float]:
    """The loss, and the primary metric of greedy answers, on at most 256 validation rows at even distances."""
    tokens = plan.labels.tokens
    assert tokens is not None and val.target is not None
    values = [read_back(row, tokens) for row in val.target.numpy()]
    first, references = merged_references(val.index_NM, values)
    chosen = np.linspace(0, len(first) - 1, min(MOST_ROWS, len(first))).round().astype(np.int64)
    sample = RowBatches(val.sources, val.index_NM[first[chosen]])
    loss = answer_loss(model, val, first[chosen])
    options = DecodeOptions(max_new_tokens=plan.settings.language.max_tokens)
    guesses = [a.text for a in write_rows(model, sample, tokens, options)]
    truths = [references[int(i)] for i in chosen]
    if plan.task.primary == "cider_d":
        if len(truths) < FEWEST_CAPTIONED:
            return {"loss": loss, "score": -loss}
        found: dict[str, Any] = caption_metrics(predictions=guesses, references=truths)
        numbers = {k: float(found[k]) for k in ("cider_d", "bleu_4", "rouge_l")}
    else:
        numbers = {"accuracy": float(exact_match(guesses, truths).mean())}
    return {**numbers, "loss": loss, "score": numbers[plan.task.primary]}


def read_back(target_RL: np.ndarray, tokens: Any) -> tuple[str, ...]:
    """References read back from an encoded target."""
    return tuple(tokens.decode(ids[ids >= 0].tolist()) for ids in target_RL if (ids >= 0).any())


EPOCH_SCORES.add("text", text_score)
