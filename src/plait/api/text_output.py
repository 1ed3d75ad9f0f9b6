"""A fitted model writes: tables of answers, and scores of given ones. Behind ``Plait.generate`` and the command line.

Rows stay in order; a row with nothing to read, or one that cannot be read, gets no answer and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pyarrow as pa

from plait.api.chunks import CHUNK_ROWS, Chunk, StoreOfAChunk, prepared_chunks
from plait.api.prediction_rows import named_rows, problems_of, with_unparsed
from plait.data.progress import Progress
from plait.data.table import Table
from plait.heads.language import DecodeOptions
from plait.inference.generation import AT_ONCE, Answer, generator_of, score_rows, write_rows
from plait.inputs.dataset import RowBatches
from plait.training.fitted import FittedParts


def decode_options(
    fitted: FittedParts, beams: int, length_penalty: float = 1.0, max_new_tokens: int | None = None,
    temperature: float | None = None, top_p: float | None = None, seed: int | None = None,
) -> DecodeOptions:  # fmt: skip
    """How texts are written, with the model's own length where none is asked for.

    Raises:
        ValueError: The model writes no text, or an option is out of range.
    """
    known = generator_of(fitted.model, fitted.labels.tokens)[1]
    return DecodeOptions(beams, length_penalty, max_new_tokens or known.max_tokens, temperature, top_p, seed)


def write_chunks(
    fitted: FittedParts,
    table: Table,
    options: DecodeOptions,
    *,
    answers: Sequence[str] | None,
    tokens: bool,
    on_bad_row: str,
    progress: Progress | None,
    chunk_rows: int = CHUNK_ROWS,
    store: StoreOfAChunk = nullcontext,
) -> Iterator[pa.Table]:
    """Tables of one row per input row: ``row``, the id column, ``prediction``, ``log_probability``, ``probability`` and
    ``problem``.

    Args:
        fitted: The model.
        table: The rows.
        options: How to search.
        answers: The only answers allowed, or None.
        tokens: Also ``tokens`` and ``token_probabilities``, a list each.
        on_bad_row: "missing", "skip" or "error".
        progress: Called with (done, total, what).
        chunk_rows: Rows at once.
        store: Where the features of a chunk are kept (``prepared_chunks``).
    """
    generator_of(fitted.model, fitted.labels.tokens)
    for chunk in prepared_chunks(fitted, table, on_bad_row, progress, chunk_rows=chunk_rows, store=store):
        yield _written(fitted, chunk, _draws_from(options, chunk.start), answers, tokens)


def _draws_from(options: DecodeOptions, start: int) -> DecodeOptions:
    """The options with the seed of the batch at a row, so that rows are drawn as if they came in one piece."""
    return options if options.seed is None else replace(options, seed=options.seed + start // AT_ONCE)


def written_columns(found: Sequence[Answer | None], tokens: bool) -> dict[str, pa.Array]:
    """What was written, one answer a row or None: text, its log-probability (natural) and geometric mean a token.

    Args:
        found: By row.
        tokens: Also the tokens and their probabilities.
    """
    columns = {
        "prediction": pa.array([a and a.text for a in found], pa.string()),
        "log_probability": pa.array([a and a.log_probability for a in found], pa.float64()),
        "probability": pa.array([a and a.mean_probability for a in found], pa.float64()),
    }
    if tokens:
        columns["tokens"] = pa.array([a and a.pieces for a in found], pa.list_(pa.string()))
        shares = [a and [float(np.exp(p)) for p in a.log_probabilities] for a in found]
        columns["token_probabilities"] = pa.array(shares, pa.list_(pa.float64()))
    return columns


def _written(
    fitted: FittedParts, chunk: Chunk, options: DecodeOptions, answers: Sequence[str] | None, tokens: bool
) -> pa.Table:
    prepared, keep = chunk.prepared, _answerable(chunk)
    rows = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    made = write_rows(fitted.model, rows, fitted.labels.tokens, options, answers=answers, progress=chunk.progress)
    by_row: dict[int, Answer] = dict(zip(keep.tolist(), made, strict=True))
    found = [by_row.get(i) for i in range(len(chunk.table))]
    columns = named_rows(chunk.table, fitted.schema)
    columns |= written_columns(found, tokens)
    columns["problem"] = pa.array(problems_of(prepared, not fitted.task.needs_target), pa.string())
    return with_unparsed(pa.table(columns), chunk.unparsed)


def score_chunks(
    fitted: FittedParts, table: Table, answers: Sequence[str], *, on_bad_row: str, progress: Progress | None
) -> Iterator[pa.Table]:
    """Tables of one row per input row: ``row``, the id column, ``prediction`` (the likeliest answer), ``answers``,
    ``log_probabilities`` in the same order (natural log, the end included), ``problem``.
    """
    if isinstance(answers, str) or not len(answers):
        raise ValueError("answers must be a list of at least one text, such as ['yes', 'no']")
    for chunk in prepared_chunks(fitted, table, on_bad_row, progress):
        yield _scored(fitted, chunk, answers)


def _scored(fitted: FittedParts, chunk: Chunk, answers: Sequence[str]) -> pa.Table:
    prepared, keep, count = chunk.prepared, _answerable(chunk), len(chunk.table)
    rows = RowBatches(prepared.sources, prepared.rows.index_NM[keep])
    scores_NA = score_rows(fitted.model, rows, fitted.labels.tokens, answers, progress=chunk.progress)
    by_row = dict(zip(keep.tolist(), scores_NA.tolist(), strict=True))
    columns = named_rows(chunk.table, fitted.schema)
    likeliest = [answers[int(np.argmax(by_row[i]))] if i in by_row else None for i in range(count)]
    columns["prediction"] = pa.array(likeliest, pa.string())
    columns["answers"] = pa.array([list(answers)] * count, pa.list_(pa.string()))
    columns["log_probabilities"] = pa.array([by_row.get(i) for i in range(count)], pa.list_(pa.float64()))
    columns["problem"] = pa.array(problems_of(prepared, not fitted.task.needs_target), pa.string())
    return with_unparsed(pa.table(columns), chunk.unparsed)


def _answerable(chunk: Chunk) -> np.ndarray:
    """The positions of the rows to answer: not left out by policy, and not empty."""
    return chunk.keep[chunk.prepared.rows.present_NM[chunk.keep].any(1)]
