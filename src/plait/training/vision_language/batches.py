"""Requests with their answers as a dataset of whole batches: of about equal length, mixed anew every epoch.

An item is a batch. Pictures are decoded when their batch is made and not kept, so that memory does not grow with the
table. The request is worded and cut as for asking (``Prompter.batch``), the answer follows as it is scored
(``Prompter.answer_ids``) with the end that the template puts behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from plait.inference.vision_language import Prompter, Request
from plait.inference.vision_language.scoring import padded_answers
from plait.training.length_groups import sorted_in_pools

POOL = 16  # batches that are mixed before their rows are sorted by length
SIZE_STEP, MOST_SIZES = 32, 64  # pixels by which sizes of pictures are told apart; sizes that are looked at
Ids = tuple[int, ...]


@dataclass(frozen=True)
class AnsweredRequest:
    """A request and the answers to it.

    Attributes:
        request: What is asked.
        answers: Token ids of each answer, its end included; one at least, the same ones as often as they were given.
        length: Tokens of the request, about.
    """

    request: Request
    answers: tuple[Ids, ...]
    length: int = 0

    @property
    def usual(self) -> Ids:
        """The most frequent answer, of equal ones the first."""
        return Counter(self.answers).most_common(1)[0][0]


def request_lengths(prompter: Prompter, texts: Sequence[str], sizes: Sequence[tuple[int, int]]) -> list[int]:
    """About how many tokens each request has: those of its text, and those of a blank picture of about its size."""
    measured: dict[tuple[int, int], int] = {}
    found = []
    for text, size in zip(texts, sizes, strict=True):
        coarse = (max(1, round(size[0] / SIZE_STEP)), max(1, round(size[1] / SIZE_STEP)))
        if coarse not in measured:
            if len(measured) < MOST_SIZES:
                blank = Image.new("RGB", (coarse[0] * SIZE_STEP, coarse[1] * SIZE_STEP))
                measured[coarse] = int(prompter.batch([blank], ["x"])["input_ids"].shape[1])
            else:
                area = coarse[0] * coarse[1]
                measured[coarse] = measured[min(measured, key=lambda one: abs(one[0] * one[1] - area))]
        found.append(measured[coarse] + len(prompter.tokenizer(text, add_special_tokens=False)["input_ids"]))
    return found


class AnswerBatches(Dataset[dict[str, Any]]):
    """Batches of examples.

    Args:
        prompter: How requests are worded.
        examples: The rows.
        batch_size: Rows of a batch, at most.
        seed: Of the mixing, and of which of several answers a row shows in an epoch; None: rows stay sorted by length
            and show their most frequent answer, for judging.
    """

    def __init__(
        self, prompter: Prompter, examples: Sequence[AnsweredRequest], batch_size: int, seed: int | None = None
    ) -> None:
        self.prompter, self.examples, self.batch_size, self.seed = prompter, examples, batch_size, seed
        self.batches: list[list[tuple[Request, Ids]]] = []
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Compose the batches of an epoch; a resumed run composes what the straight run did."""
        count = len(self.examples)
        if self.seed is None:
            order, shown, pool = np.arange(count), [one.usual for one in self.examples], max(1, count)
        else:
            rng = np.random.default_rng([self.seed, epoch])
            order, pool = rng.permutation(count), POOL * self.batch_size
            shown = [one.answers[int(rng.integers(len(one.answers)))] for one in self.examples]
        length = np.array([one.length + len(ids) for one, ids in zip(self.examples, shown, strict=True)])
        order = sorted_in_pools(order, length, pool)
        parts = [order[start : start + self.batch_size].tolist() for start in range(0, count, self.batch_size)]
        self.batches = [[(self.examples[i].request, shown[i]) for i in rows] for rows in parts]

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Model inputs of the requests, the answers [B, L] behind them and which of their tokens are real [B, L]."""
        rows = self.batches[number]
        inputs = self.prompter.batch([one.open() for one, _ in rows], [one.text for one, _ in rows])
        answer_BL, real_BL = padded_answers([ids for _, ids in rows])
        return {"inputs": inputs, "answer": answer_BL, "real": real_BL}

    def tokens(self, batch: dict[str, Any]) -> int:
        """Tokens of a batch's answers, ends included: where a step is of several batches, each counts by them."""
        return int(batch["real"].sum())

    def __getitems__(self, numbers: list[int]) -> dict[str, Any]:
        """The one batch that a step asks for."""
        assert len(numbers) == 1
        return self[numbers[0]]
