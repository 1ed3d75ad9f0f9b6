"""Rows of a model that writes: what is explained is the answer that it wrote, as a whole and word by word.

The answer is written once for the row as it is. With parts hidden the same answer is scored again, each token given the
written ones before it: the whole counts by its mean log-likelihood a token, a word by the log-probability of all of
its tokens. Both are in nats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from plait.explain.inputs.score import AT_ONCE, ExplainedRows, in_evaluation
from plait.explain.written import shown_references
from plait.heads.language import DecodeOptions
from plait.heads.language.words import words_of
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inference.generation import token_scores, write_rows
from plait.inputs.dataset import RowBatches, Source
from plait.model import PlaitModel


@dataclass(frozen=True)
class WrittenAnswer:
    """What a row was answered.

    Attributes:
        text: The answer.
        ids: Its tokens, the end included where it was written.
        words: Its words; the end is one, named as such.
        word_T: The word of each token.
    """

    text: str
    ids: list[int]
    words: list[str]
    word_T: np.ndarray = field(repr=False)  # noqa: N815  shape letters


class WrittenRows(ExplainedRows):
    """As ``ExplainedRows``; outputs [B, 1 + W] are the mean a token of the written answer, then each of its words."""

    @cached_property
    def written(self) -> list[WrittenAnswer]:
        """What each explained row is answered, as it is evaluated."""
        tokens = self.given.labels.tokens
        assert tokens is not None
        options = DecodeOptions(beams=self.given.beams, max_new_tokens=tokens.max_tokens)
        made = []
        for answer in write_rows(self.given.model, RowBatches(self.sources, self.items_NM), tokens, options):
            words, word_T = words_of(tokens, answer.ids)
            made.append(WrittenAnswer(answer.text, answer.ids, words, word_T))
        return made

    def outputs(self, network: nn.Module, sources: dict[str, Source], items_BM: np.ndarray, row: int) -> np.ndarray:
        """Outputs [B, 1 + W] of variants of a row: mean log-likelihood a token, and log-probability of each word."""
        answer, model = self.written[row], cast(PlaitModel, network)
        logs_BT = np.zeros((len(items_BM), len(answer.ids)))
        walk = evaluation_batches(model, RowBatches(sources, items_BM), batch_size=AT_ONCE)
        with evaluation_mode(model, inference=False):
            for places, batch in walk:
                logs_BT[places] = [found[0] for found in token_scores(model, batch, [[answer.ids]] * len(places))]
        by_word = [logs_BT[:, answer.word_T == w].sum(axis=1) for w in range(len(answer.words))]
        return np.stack([logs_BT.mean(axis=1), *by_word], axis=1)

    def scores_with_gradient(
        self, network: Any, inputs: dict[str, dict[str, Tensor]], index_M: np.ndarray, row: int, column: int
    ) -> Tensor:
        """Mean log-likelihood a token of the written answer, then the log-probability of each word [1 + W]."""
        answer = self.written[row]
        with in_evaluation(network):
            present_1M = torch.tensor(index_M >= 0, device=next(network.parameters()).device)[None]
            prefix = network.head.prefix(network.fuse(network.encode(inputs, present_1M), present_1M))
            ids_1T = torch.tensor([answer.ids], device=present_1M.device)
            log_TV = torch.log_softmax(network.head.answer_logits(*prefix, ids_1T)[0].float(), dim=1)
        log_T = log_TV.gather(1, ids_1T[0][:, None])[:, 0]
        by_word = [log_T[torch.from_numpy(answer.word_T == w)].sum() for w in range(len(answer.words))]
        return torch.stack([log_T.mean(), *by_word])

    def answer_of(self, row: int, place: int, outputs_1C: np.ndarray) -> dict[str, Any]:
        """True and written answer, and ``written``: each word with its log-probability."""
        answer = self.written[row]
        words = [{"word": w, "log_probability": float(v)} for w, v in zip(answer.words, outputs_1C[0, 1:], strict=True)]
        return {"truth": shown_references(self.given.values[place]), "prediction": answer.text, "written": words}

    def unit_of(self, column: int) -> dict[str, Any]:
        """What the scores are, in words."""
        return {"explained": "log-likelihood a token of the answer it wrote", "unit": "nats a token"}

    def by_word(self, path: Any, kept_PP: np.ndarray) -> list[dict[str, Any]]:
        """What each word of the answer loses where a part alone is hidden, in nats: ``words`` [W] of each part."""
        full_1C = path.outputs_of(np.ones((1, kept_PP.shape[1]), dtype=bool))
        lost_PC = full_1C - path.outputs_of(kept_PP)
        return [{"words": [float(v) for v in lost_C[1:]]} for lost_C in lost_PC]
