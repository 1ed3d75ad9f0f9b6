"""A fitted model answers an opened table chunk by chunk, whether it predicts or writes. Behind ``Plait.predict``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pyarrow as pa

from plait.api.believed import Believed, KnownRows
from plait.api.chunks import CHUNK_ROWS, StoreOfAChunk
from plait.api.prediction import predict_chunks
from plait.api.text_output import decode_options, write_chunks
from plait.data.progress import Progress
from plait.data.table import Table
from plait.training.fitted import FittedParts

if TYPE_CHECKING:
    from plait.api.batch.source import RowSource


def answer_rows(
    fitted: FittedParts, source: RowSource, believed: Believed, *, on_bad_row: str, progress: Progress | None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[pa.Table]:  # fmt: skip
    """What :func:`answer_chunks` gives, of rows that are read part by part.

    Args:
        fitted: The model.
        source: The rows.
        believed: As ``on_bad_row``, ``progress`` and ``chunk_rows`` of :func:`answer_chunks`.
    """
    known = believed.known_rows(fitted)
    for part in source.parts():
        yield from answer_chunks(
            fitted, part.table, believed, on_bad_row=on_bad_row, chunk_rows=chunk_rows, counted_in=known,
            progress=_within(progress, part.first, len(part.table), source.rows),
        )  # fmt: skip
    known.warn()


def _within(progress: Progress | None, first: int, rows: int, total: int) -> Progress | None:
    """Progress within a part as progress of the whole."""
    if progress is None or rows == total:
        return progress
    outer = progress

    def inner(done: int, steps: int, what: str) -> None:
        is_ours = what.startswith("predicting")
        outer(first + (done if is_ours else 0), total, what if is_ours else f"predicting: {what}")

    return inner


def answer_chunks(
    fitted: FittedParts, opened: Table, believed: Believed, *, on_bad_row: str, progress: Progress | None,
    chunk_rows: int = CHUNK_ROWS, store: StoreOfAChunk = nullcontext, counted_in: KnownRows | None = None,
) -> Iterator[pa.Table]:  # fmt: skip
    """Tables of one row per input row, in order; see :meth:`plait.Plait.predict` for the columns.

    Args:
        fitted: The model.
        opened: The rows.
        believed: What is asked for beside the answers.
        on_bad_row: "missing", "skip" or "error".
        progress: Called with (done, total, what).
        chunk_rows: Rows at once.
        store: Where the features of a chunk are kept (``prepared_chunks``).
        counted_in: As of :func:`plait.api.prediction.predict_chunks`.
    """
    if fitted.task.family.writes:
        options = decode_options(fitted, beams=fitted.settings.language.beams or 1)
        return write_chunks(
            fitted, opened, options, answers=None, tokens=False, on_bad_row=on_bad_row, progress=progress,
            chunk_rows=chunk_rows, store=store,
        )  # fmt: skip
    return predict_chunks(
        fitted, opened, on_bad_row=on_bad_row, progress=progress, chunk_rows=chunk_rows, believed=believed,
        store=store, counted_in=counted_in,
    )  # fmt: skip
