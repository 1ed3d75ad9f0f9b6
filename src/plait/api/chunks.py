"""A table read, encoded and handed on chunk by chunk, so that memory and the wait for the first answer do not grow.

In: an opened table. Out: its rows in order, some thousand at a time, made ready for the model, with the policy for bad
rows applied. What is decided over a whole table (its columns, its types, how its numbers are read) is decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from plait.api.reading import answer_by_views
from plait.data.bad_rows import apply_policy, bad_rows_message
from plait.data.memory import trim
from plait.data.progress import Progress
from plait.data.table import BadRow, Table
from plait.inputs.feature_store import FeatureStore
from plait.inputs.prepare import Prepared, prepare
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES
from plait.training.fitted import FittedParts

StoreOfAChunk = Callable[[], AbstractContextManager[FeatureStore | None]]
CHUNK_ROWS = 4096  # a multiple of the rows that a model takes at once, so that batches fall as in one piece


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, made ready.

    Attributes:
        table: These rows; they keep their numbers in the source.
        prepared: What the model takes.
        keep: Positions, in this chunk, of the rows that the policy keeps.
        start: Rows of the table before it.
        unparsed: Rows of the source that belong among these and could not be parsed.
        progress: To be called with (done, total, what) within this chunk.
    """

    table: Table
    prepared: Prepared
    keep: np.ndarray
    start: int
    unparsed: tuple[BadRow, ...]
    progress: Progress | None


def prepared_chunks(
    fitted: FittedParts, table: Table, on_bad_row: str, progress: Progress | None, *, chunk_rows: int = CHUNK_ROWS,
    store: StoreOfAChunk = nullcontext,
) -> Iterator[Chunk]:  # fmt: skip
    """The chunks of a table, in the order of its rows.

    Args:
        fitted: The model.
        table: The rows.
        on_bad_row: "missing", "skip" or "error".
        progress: Called with (done, total, what).
        chunk_rows: Rows at once.
        store: Makes what keeps the features of a chunk until the next one is asked for; None from it: the feature
            store of the user.

    Raises:
        ValueError: No such policy, ``chunk_rows`` below 1, or bad rows under "error"; these are counted over the whole
            table, so the error comes after the chunks before the first of them.
    """
    if on_bad_row not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", on_bad_row, list(BAD_ROW_POLICIES)))
    if isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int) or chunk_rows < 1:
        raise ValueError(f"chunk_rows must be a whole number of rows from 1 on, got {chunk_rows!r}")
    table = _in_source_order(table)
    unparsed = sorted(table.bad_rows, key=lambda bad: bad.row)
    bad: list[BadRow] = []
    for start in range(0, len(table), chunk_rows):
        inner = _within(progress, start, len(table), chunk_rows)
        part = _slice(table, start, chunk_rows)
        with store() as features:
            prepared = prepare(part, fitted.inputs, store=features, progress=inner, counts=False)
            if on_bad_row == "error":
                bad += [replace(one, row=start + one.row) for one in prepared.rows.bad]
                if bad or unparsed:
                    continue
            following = start + chunk_rows
            limit = table.row_number(following) if following < len(table) else None
            here = [one for one in unparsed if limit is None or one.row < limit]
            unparsed = unparsed[len(here) :]
            keep = apply_policy(prepared.rows, on_bad_row)
            answer_by_views(fitted, prepared, keep, inner, features)
            yield Chunk(part, prepared, keep, start, tuple(here), inner)
        del prepared
        trim()
    if on_bad_row == "error" and (bad or table.bad_rows):
        raise ValueError(bad_rows_message(bad, table))


def _in_source_order(table: Table) -> Table:
    """The same rows; sorted by number where lines that could not be parsed must find their place among them."""
    if not table.bad_rows or table.row_numbers is None:
        return table
    order = np.argsort(np.asarray(table.row_numbers), kind="stable")
    return table if (order == np.arange(len(order))).all() else table.take(order)


def _slice(table: Table, start: int, count: int) -> Table:
    numbers = tuple(table.row_number(i) for i in range(start, min(start + count, len(table))))
    return replace(table, arrow=table.arrow.slice(start, count), row_numbers=numbers, bad_rows=())


def _within(progress: Progress | None, start: int, total: int, chunk_rows: int) -> Progress | None:
    """Progress of one chunk as progress of the whole: one bar of rows, whatever is done to them."""
    if progress is None or total <= chunk_rows:
        return progress
    outer = progress

    def inner(done: int, steps: int, what: str) -> None:
        if what == "predicting":
            outer(start + done, total, what)
        else:
            outer(start, total, f"predicting: {what} {done:,}/{steps:,}" if steps else f"predicting: {what}")

    return inner
