"""A fitted model predicts: one row of answers and probabilities per row of a table. Behind ``Plait.predict``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from plait.api.believed import Believed, KnownRows
from plait.api.chunks import CHUNK_ROWS, Chunk, StoreOfAChunk, prepared_chunks
from plait.api.prediction_rows import named_rows, problems_of, with_unparsed
from plait.api.reading import logits_of, open_table, uncalibrated_logits_of, warn_of_absent_columns
from plait.data.progress import Progress
from plait.data.small_arrays import small_array, small_numbers
from plait.data.table import Table
from plait.tasks.decisions import class_decisions
from plait.training.fitted import FittedParts

PLAIN = Believed()


def predict_chunks(
    fitted: FittedParts, table: Table, *, on_bad_row: str, progress: Progress | None, chunk_rows: int = CHUNK_ROWS,
    believed: Believed = PLAIN, store: StoreOfAChunk = nullcontext, counted_in: KnownRows | None = None,
) -> Iterator[pa.Table]:  # fmt: skip
    """Tables of one row per input row, in order; see ``Plait.predict`` for the columns.

    Args:
        fitted: The model.
        table: The rows.
        on_bad_row: "missing", "skip" or "error".
        progress: Called with (done, total, what).
        chunk_rows: Rows at once.
        believed: What is asked for beside the answers.
        store: Where the features of a chunk are kept (``prepared_chunks``).
        counted_in: Counts the rows that the model has seen, of a part of a table; None: they are told at the end.
    """
    known = counted_in or believed.known_rows(fitted)
    for chunk in prepared_chunks(fitted, table, on_bad_row, progress, chunk_rows=chunk_rows, store=store):
        known.count(chunk.prepared.rows)
        logits = uncalibrated_logits_of(fitted, chunk.prepared, chunk.keep, chunk.progress)
        outputs = fitted.task.activate(fitted.calibrate_logits(logits), fitted.labels)
        present_KM = chunk.prepared.rows.present_NM[chunk.keep].astype(bool)
        more, problems, withheld = believed.columns(fitted, outputs, present_KM, chunk.keep, len(chunk.table))
        columns = named_rows(chunk.table, fitted.schema)
        columns |= _answers(fitted, logits, outputs, chunk, withheld)
        columns |= more
        told = problems_of(chunk.prepared, not fitted.task.needs_target)
        said = ["; ".join(filter(None, (text, problems.get(i)))) or None for i, text in enumerate(told)]
        columns["problem"] = small_array(said, pa.string())
        yield with_unparsed(pa.table(columns), chunk.unparsed)
    if counted_in is None:
        known.warn()


def predict_probabilities(
    fitted: FittedParts,
    table: Any,
    *,
    on_bad_row: str,
    allow_outside: bool,
    allow_remote: bool,
    progress: Progress | None,
) -> np.ndarray:
    """Probabilities [N, C] in row order; NaN for rows left out.

    Raises:
        ValueError: The task has no classes, or the table cannot be read.
    """
    if not fitted.labels.classes:
        raise ValueError(f"this model {fitted.task.family.does}, which has no probabilities; use predict()")
    opened = open_table(fitted, table, allow_outside=allow_outside, allow_remote=allow_remote)
    warn_of_absent_columns(fitted, opened, table)
    proba = np.full((len(opened), len(fitted.labels.classes)), np.nan)
    for chunk in prepared_chunks(fitted, opened, on_bad_row, progress):
        logits = logits_of(fitted, chunk.prepared, chunk.keep, chunk.progress)
        proba[chunk.start + chunk.keep] = fitted.task.activate(logits, fitted.labels)
    return proba


def _answers(
    fitted: FittedParts, logits: np.ndarray, outputs: np.ndarray, chunk: Chunk, withheld: set[int]
) -> dict[str, Any]:
    """The columns of predictions, probabilities and uncertainty; null in rows that were left out."""
    task, classes, keep, count = fitted.task, fitted.labels.classes, chunk.keep, len(chunk.table)
    decoded = dict(zip(keep.tolist(), task.decode(outputs, fitted.labels), strict=True))
    decoded = {row: answer for row, answer in decoded.items() if row not in withheld}
    given = [decoded.get(i) for i in range(count)]
    columns: dict[str, Any] = {"prediction": small_array(given, _answer_type(fitted))}
    if classes:
        filled = np.full((count, len(classes)), np.nan)
        filled[keep] = outputs
        nothing = np.isnan(filled[:, 0])
        if task.family.one_class:
            of_answer = np.full(count, np.nan)
            of_answer[keep] = outputs[np.arange(len(keep)), class_decisions(outputs, fitted.labels.thresholds)]
            of_answer[list(withheld)] = np.nan
            columns["probability"] = small_numbers(of_answer, np.isnan(of_answer))
        columns |= {f"probability_{c}": small_numbers(filled[:, i], nothing) for i, c in enumerate(classes)}
    alone = fitted.ensemble is None  # what the fusion says of its own logits says nothing of an average
    doubt_B = fitted.model.fusion.uncertainty(torch.from_numpy(logits).double()) if alone else None
    if doubt_B is not None:
        doubt_N = np.full(count, np.nan)
        doubt_N[keep] = doubt_B.numpy()
        columns["uncertainty"] = small_numbers(doubt_N, np.isnan(doubt_N))
    return columns


def _answer_type(fitted: FittedParts) -> pa.DataType:
    """The type of an answer, which a chunk of rows without one could not tell: that of an answer to all ones."""
    shape = (1, max(1, len(fitted.labels.classes)))
    (one,) = fitted.task.decode(np.ones(shape), fitted.labels)
    return pa.string() if type(one) is str else pa.float64() if type(one) is float else pa.array([one]).type
