"""Generation over rows: from batches to answers with their probabilities, and scores of given answers.

Rows that show the same items are written once. What is asked is ``DecodeOptions``; a list of allowed answers keeps
every row within it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from plait.data.progress import Progress
from plait.fusion.base import FusionOutput
from plait.heads import GenerateHead
from plait.heads.language import AnswerTokens, DecodeOptions, Trie
from plait.inference.forward import evaluation_batches, evaluation_mode, to_device
from plait.inputs.dataset import RowBatches
from plait.model import PlaitModel

AT_ONCE = 64


@dataclass(frozen=True)
class Answer:
    """One written answer.

    Attributes:
        text: The answer.
        pieces: Its tokens as text, the end included where it was written.
        log_probabilities: Natural log-probability of each token, given all before it.
        ids: Its tokens.
    """

    text: str
    pieces: list[str]
    log_probabilities: list[float]
    ids: list[int] = field(default_factory=list)

    @property
    def log_probability(self) -> float:
        """Natural log-probability of the whole answer."""
        return math.fsum(self.log_probabilities)

    @property
    def mean_probability(self) -> float:
        """Geometric mean of the tokens' probabilities, in [0, 1]."""
        return math.exp(self.log_probability / max(1, len(self.log_probabilities)))


def generator_of(model: PlaitModel, tokens: AnswerTokens | None) -> tuple[GenerateHead, AnswerTokens]:
    """The head that writes, and how its answers are cut.

    Raises:
        ValueError: The model does not write text.
    """
    if not isinstance(model.head, GenerateHead) or tokens is None:
        raise ValueError(
            f"this model's task is {model.config.task}, which writes no text; train one with task='captioning', or "
            "task='vqa' and set=['task.answers=open']"
        )
    return model.head, tokens


def write_rows(
    model: PlaitModel,
    rows: RowBatches,
    tokens: AnswerTokens | None,
    options: DecodeOptions,
    *,
    answers: Sequence[str] | None = None,
    hide: tuple[int, ...] = (),
    batch_size: int = AT_ONCE,
    progress: Progress | None = None,
    what: str = "writing",
) -> list[Answer]:
    """Write an answer for every row, in order.

    Args:
        model: A model with a ``generate`` head; its training mode is restored.
        rows: The rows.
        tokens: How its answers are cut.
        options: How to search.
        answers: The only answers allowed, or None for any text.
        hide: Modality numbers to treat as missing in every row.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and ``what``.
        what: What to call the work.

    Raises:
        ValueError: The model does not write text, or an allowed answer is too long for it.
    """
    head, tokens = generator_of(model, tokens)
    trie = None if answers is None else Trie(tokens.encode(list(answers)), tokens.end)
    if trie is not None:
        longest = max(len(ids) for ids in tokens.encode(list(answers or ())))
        options = DecodeOptions(**{**vars(options), "max_new_tokens": max(longest, options.max_new_tokens)})
    first, place = np.unique(rows.index_NM, axis=0, return_index=True, return_inverse=True)[1:]
    if options.samples:  # draws are each row's own
        first, place = np.arange(len(rows)), np.arange(len(rows))
    made: list[Answer] = []
    walk = evaluation_batches(
        model, rows, batch_size=batch_size, chosen=first, hide=hide, progress=progress, what=what
    )  # fmt: skip
    with evaluation_mode(model, inference=False):
        for number, (_, batch) in enumerate(walk):
            seeded = options
            if options.samples and options.seed is not None:
                seeded = DecodeOptions(**{**vars(options), "seed": options.seed + number})
            written = head.write(_fused(model, batch), seeded, trie)
            for ids, scores in zip(written.ids, written.log_probabilities, strict=True):
                made.append(Answer(tokens.decode(ids), tokens.pieces(ids), scores, ids))
    return [made[int(i)] for i in place.reshape(-1)]


def score_rows(
    model: PlaitModel,
    rows: RowBatches,
    tokens: AnswerTokens | None,
    answers: Sequence[str],
    *,
    batch_size: int = AT_ONCE,
    progress: Progress | None = None,
) -> np.ndarray:
    """Natural log-probability of each given answer (its end included) for each row, [N, A].

    Raises:
        ValueError: The model does not write text, no answers, or one that is too long for it.
    """
    head, tokens = generator_of(model, tokens)
    encoded = tokens.encode(list(answers))
    Trie(encoded, tokens.end)  # refuses what cannot be written
    scores_NA = np.zeros((len(rows), len(encoded)))
    walk = evaluation_batches(model, rows, batch_size=batch_size, progress=progress, what="scoring answers")
    with evaluation_mode(model, inference=False):
        for places, batch in walk:
            prefix_BPH, mask_BP = head.prefix(_fused(model, batch))
            for number, ids in enumerate(encoded):
                log_B = head.score(prefix_BPH, mask_BP, [ids] * len(prefix_BPH))
                scores_NA[places, number] = [math.fsum(scores) for scores in log_B]
    return scores_NA


def reference_scores(
    model: PlaitModel,
    rows: RowBatches,
    tokens: AnswerTokens | None,
    references: Sequence[Sequence[str]],
    *,
    batch_size: int = AT_ONCE,
    progress: Progress | None = None,
) -> np.ndarray:
    """Mean log-likelihood a token of each row's references, [N], in nats, each token given the true ones before it.

    Args:
        model: A model with a ``generate`` head.
        rows: The rows.
        tokens: How its answers are cut.
        references: At least one text a row [N][R]; of several their mean. One longer than the model writes is cut.
        batch_size: Rows at once.
        progress: Called with rows done, rows in all and "scoring references".

    Raises:
        ValueError: The model does not write text.
    """
    _, tokens = generator_of(model, tokens)
    encoded = [tokens.encode(list(row)) for row in references]
    scores_N = np.zeros(len(rows))
    walk = evaluation_batches(model, rows, batch_size=batch_size, progress=progress, what="scoring references")
    with evaluation_mode(model, inference=False):
        for places, batch in walk:
            for place, found in zip(places, token_scores(model, batch, [encoded[p] for p in places]), strict=True):
                scores_N[place] = np.mean([math.fsum(logs) / len(logs) for logs in found])
    return scores_N


def token_scores(model: PlaitModel, batch: dict[str, Any], answers: list[list[list[int]]]) -> list[list[list[float]]]:
    """Natural log-probability of each token of each row's answers [B][R][L]; rows are encoded and fused once.

    Args:
        model: A model with a ``generate`` head, in evaluation mode.
        batch: A batch on the model's device.
        answers: Token ids [B][R][L].
    """
    head = cast(GenerateHead, model.head)
    prefix_BPH, mask_BP = head.prefix(_fused(model, batch))
    made: list[list[list[float]]] = [[] for _ in answers]
    for r in range(max(len(row) for row in answers)):
        rows = [b for b, row in enumerate(answers) if len(row) > r]
        logs = head.score(prefix_BPH[rows], mask_BP[rows], [answers[b][r] for b in rows])
        for b, found in zip(rows, logs, strict=True):
            made[b].append(found)
    return made


def answer_loss(model: PlaitModel, rows: RowBatches, chosen: np.ndarray, *, batch_size: int = AT_ONCE) -> float:
    """Mean loss of the true answers over the rows at ``chosen``, in batches of even size: each has one mean."""
    total = 0.0
    device = next(model.parameters()).device
    with evaluation_mode(model, inference=False):
        for part in np.array_split(chosen, max(1, math.ceil(len(chosen) / batch_size))):
            batch = to_device(rows.__getitems__(part.tolist()), device)
            total += float(model(**batch)["loss"]) * len(part)
    return total / max(1, len(chosen))


def _fused(model: PlaitModel, batch: dict[str, Any]) -> FusionOutput:
    return model.fuse(model.encode(batch["inputs"], batch["present"]), batch["present"])
