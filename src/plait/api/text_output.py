"""A fitted model writes: tables of answers, and scores of given ones. Behind ``Plait.generate`` and the command line.

Rows stay in order; a row with nothing to read, or one that cannot be read, gets no answer and says why.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from plait.api.prediction_rows import named_rows, problems_of, with_unparsed
from plait.api.reading import prepare_rows
from plait.data.progress import Progress
from plait.data.table import Table
from plait.inference.generation import Answer, generator_of, score_rows, write_rows
from plait.inputs.dataset import RowBatches
from plait.inputs.prepare import Prepared
from plait.language import DecodeOptions
from plait.training.fitted import FittedParts


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
    prepared, keep = _answerable(fitted, table, on_bad_row, progress)
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
    prepared, keep = _answerable(fitted, table, on_bad_row, progress)
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


def _answerable(
    fitted: FittedParts, table: Table, on_bad_row: str, progress: Progress | None
) -> tuple[Prepared, np.ndarray]:
    """The rows made ready, and the positions of those to answer: not left out by policy, and not empty."""
    prepared, keep = prepare_rows(fitted, table, on_bad_row, progress)
    return prepared, keep[prepared.rows.present_NM[keep].any(1)]
