"""A fitted model writes: tables of answers, and scores of given ones. Behind ``Plait.generate`` and the command line.

Rows stay in order; a row with nothing to read, or one that cannot be read, gets no answer and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from plait.api.describe import FittedParts
from plait.api.prediction_rows import named_rows, problems_of, with_unparsed
from plait.data.bad_rows import apply_policy
from plait.data.table import Table
from plait.inference.generation import Answer, generator_of, score_rows, write_rows
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import Prepared, prepare
from plait.language import DecodeOptions
from plait.model import PlaitModel
from plait.tasks import LabelState

Progress = Callable[[int, int, str], None]


def write_table(
    fitted: FittedParts,
    table: Table,
    options: DecodeOptions,
    *,
    answers: Sequence[str] | None,
    tokens: bool,
    on_bad_row: str,
    progress: Progress | None,
) -> pa.Table:
    """One row per input row: ``row``, the id column, ``prediction``, ``log_probability``, ``probability``, ``problem``.

    Args:
        fitted: The model.
        table: The rows.
        options: How to search.
        answers: The only answers allowed, or None.
        tokens: Also ``tokens`` and ``token_probabilities``, a list each.
        on_bad_row: "missing", "skip" or "error".
        progress: Called with (done, total, what).
    """
    generator_of(fitted.model, fitted.labels.tokens)
    prepared, keep = readable(fitted, table, on_bad_row, progress)
    rows = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    made = write_rows(fitted.model, rows, fitted.labels.tokens, options, answers=answers, progress=progress)
    by_row: dict[int, Answer] = dict(zip(keep.tolist(), made, strict=True))
    found = [by_row.get(i) for i in range(len(table))]
    columns = named_rows(table, fitted.schema)
    columns["prediction"] = pa.array([a and a.text for a in found], pa.string())
    columns["log_probability"] = pa.array([a and a.log_probability for a in found], pa.float64())
    columns["probability"] = pa.array([a and a.mean_probability for a in found], pa.float64())
    if tokens:
        columns["tokens"] = pa.array([a and a.pieces for a in found], pa.list_(pa.string()))
        shares = [a and [float(np.exp(p)) for p in a.log_probabilities] for a in found]
        columns["token_probabilities"] = pa.array(shares, pa.list_(pa.float64()))
    columns["problem"] = pa.array(problems_of(prepared, not fitted.task.needs_target), pa.string())
    return with_unparsed(pa.table(columns), table)


def score_table(
    fitted: FittedParts, table: Table, answers: Sequence[str], *, on_bad_row: str, progress: Progress | None
) -> pa.Table:
    """One row per input row: ``row``, the id column, ``prediction`` (the likeliest answer), ``answers``,
    ``log_probabilities`` in the same order (natural log, the end included), ``problem``.
    """
    if isinstance(answers, str) or not len(answers):
        raise ValueError("answers must be a list of at least one text, such as ['yes', 'no']")
    prepared, keep = readable(fitted, table, on_bad_row, progress)
    rows = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    scores_NA = score_rows(fitted.model, rows, fitted.labels.tokens, answers, progress=progress)
    by_row = dict(zip(keep.tolist(), scores_NA.tolist(), strict=True))
    columns = named_rows(table, fitted.schema)
    columns["prediction"] = pa.array(
        [answers[int(np.argmax(by_row[i]))] if i in by_row else None for i in range(len(table))], pa.string()
    )
    columns["answers"] = pa.array([list(answers)] * len(table), pa.list_(pa.string()))
    columns["log_probabilities"] = pa.array([by_row.get(i) for i in range(len(table))], pa.list_(pa.float64()))
    columns["problem"] = pa.array(problems_of(prepared, not fitted.task.needs_target), pa.string())
    return with_unparsed(pa.table(columns), table)


def readable(
    fitted: FittedParts, table: Table, on_bad_row: str, progress: Progress | None
) -> tuple[Prepared, np.ndarray]:
    """The rows made ready, and the positions of those to answer: not left out by policy, and not empty."""
    prepared = prepare(table, fitted.inputs, progress=progress)
    keep = apply_policy(prepared.rows, on_bad_row)
    return prepared, keep[prepared.rows.present_NM[keep].any(1)]


class Writes:
    """What a fitted model offers when its task writes text; ``Plait`` has it."""

    model: PlaitModel
    labels: LabelState
    _open: Callable[[Any, str | None, str | None], Table]

    def generate(
        self, table: Any, *, beams: int = 1, length_penalty: float = 1.0, max_new_tokens: int | None = None,
        temperature: float | None = None, top_p: float | None = None, seed: int | None = None,
        answers: Sequence[str] | None = None, tokens: bool = False, on_bad_row: str = "missing",
        format: str | None = None, encoding: str | None = None, progress: Progress | None = None,
    ) -> pa.Table:  # fmt: skip
        """Write a text for every row (captioning, open answers).

        Args:
            table: As for :meth:`predict`, like the arguments from ``on_bad_row`` on.
            beams: As ``length_penalty`` to ``seed`` in ``language.DecodeOptions``.
            max_new_tokens: Longest answer; None: as in training.
            answers: The only answers allowed.
            tokens: Also give ``tokens`` and ``token_probabilities``.

        Returns:
            One row per input row, in order: ``row``, the id column, ``prediction``, ``log_probability`` (natural log),
            ``probability`` (geometric mean over tokens) and ``problem``.

        Raises:
            ValueError: The model writes no text, an option is out of range, or as :meth:`predict`.
        """
        known = generator_of(self.model, self.labels.tokens)[1]
        options = DecodeOptions(beams, length_penalty, max_new_tokens or known.max_tokens, temperature, top_p, seed)
        return write_table(
            cast(FittedParts, self), self._open(table, format, encoding), options, answers=answers, tokens=tokens,
            on_bad_row=on_bad_row, progress=progress,
        )  # fmt: skip

    def score_answers(
        self, table: Any, answers: Sequence[str], *, on_bad_row: str = "missing", progress: Progress | None = None
    ) -> pa.Table:
        """Natural log-probability of each given answer for each row (``answers``, ``log_probabilities``).

        Raises:
            ValueError: The model writes no text, or as :meth:`predict`.
        """
        opened = self._open(table, None, None)
        return score_table(cast(FittedParts, self), opened, answers, on_bad_row=on_bad_row, progress=progress)
