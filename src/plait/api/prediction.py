"""A fitted model predicts: one row of answers and probabilities per row of a table. Behind ``Plait.predict``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from plait.api.prediction_rows import named_rows, problems_of, with_unparsed
from plait.api.reading import logits_of, open_table, prepare_rows
from plait.data.progress import Progress
from plait.data.table import Table
from plait.training.fitted import FittedParts


def predict_table(fitted: FittedParts, table: Table, *, on_bad_row: str, progress: Progress | None) -> pa.Table:
    """One row per input row, in order; see ``Plait.predict`` for the columns."""
    prepared, keep = prepare_rows(fitted, table, on_bad_row, progress)
    logits = logits_of(fitted, prepared, keep, progress)
    columns = named_rows(table, fitted.schema)
    columns |= _answers(fitted, logits, keep, len(table))
    columns["problem"] = pa.array(problems_of(prepared, not fitted.task.needs_target), pa.string())
    return with_unparsed(pa.table(columns), table)


def predict_probabilities(fitted: FittedParts, table: Any, *, on_bad_row: str, progress: Progress | None) -> np.ndarray:
    """Probabilities [N, C] in row order; NaN for rows left out.

    Raises:
        ValueError: The task has no classes, or the table cannot be read.
    """
    if not fitted.labels.classes:
        raise ValueError(f"this model {fitted.task.family.does}, which has no probabilities; use predict()")
    opened = open_table(fitted, table)
    prepared, keep = prepare_rows(fitted, opened, on_bad_row, progress)
    proba = np.full((len(opened), len(fitted.labels.classes)), np.nan)
    proba[keep] = fitted.task.activate(logits_of(fitted, prepared, keep, progress), fitted.labels)
    return proba


def _answers(fitted: FittedParts, logits: np.ndarray, keep: np.ndarray, count: int) -> dict[str, Any]:
    """The columns of predictions, probabilities and uncertainty; null in rows that were left out."""
    task, classes = fitted.task, fitted.labels.classes
    outputs = task.activate(logits, fitted.labels)
    decoded = dict(zip(keep.tolist(), task.decode(outputs, fitted.labels), strict=True))
    columns: dict[str, Any] = {"prediction": [decoded.get(i) for i in range(count)]}
    if classes:
        filled = np.full((count, len(classes)), np.nan)
        filled[keep] = outputs
        nothing = np.isnan(filled[:, 0])
        if task.family.one_class:
            columns["probability"] = pa.array(filled.max(1), mask=nothing)
        columns |= {f"probability_{c}": pa.array(filled[:, i], mask=nothing) for i, c in enumerate(classes)}
    alone = fitted.ensemble is None  # what the fusion says of its own logits says nothing of an average
    doubt_B = fitted.model.fusion.uncertainty(torch.from_numpy(logits).double()) if alone else None
    if doubt_B is not None:
        doubt_N = np.full(count, np.nan)
        doubt_N[keep] = doubt_B.numpy()
        columns["uncertainty"] = pa.array(doubt_N, mask=np.isnan(doubt_N))
    return columns
