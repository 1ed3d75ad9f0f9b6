"""What happens to rows with cells that cannot be read: the policy, and the sentence that names them."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from plait.data.rows import Rows
from plait.data.table import BadRow, Table
from plait.registry import counted, unknown_name
from plait.settings import BAD_ROW_POLICIES

SHOWN_BAD_ROWS = 10
log = logging.getLogger(__name__)


def apply_policy(rows: Rows, policy: str) -> np.ndarray:
    """Decide what happens to rows with bad cells.

    Returns:
        Positions of the rows that stay, in order.

    Raises:
        ValueError: ``policy`` is "error" and there are bad rows; the first ten are named. Or no such policy.
    """
    if policy not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", policy, list(BAD_ROW_POLICIES)))
    rows.policy = policy
    if policy == "error" and (rows.bad or rows.table.bad_rows):
        raise ValueError(bad_rows_message(rows.bad, rows.table))
    if policy == "missing":
        return np.arange(len(rows))
    bad = rows.bad_positions()
    return np.array([i for i in range(len(rows)) if i not in bad], dtype=np.int64)


def warn_of_bad_rows(bad: list[BadRow], table: Table) -> None:
    """Log how many rows cannot be read, and the first of them; for answers that have no place to say it."""
    if bad:
        first = bad[0]
        log.warning(
            "%d of %d rows of %s hold a cell that cannot be read; %s, column %r: %s",
            len({b.row for b in bad}), len(table), table.source, table.row_name(first.row), first.column,
            first.reason,
        )  # fmt: skip


def bad_rows_message(bad: list[BadRow], table: Table) -> str:
    """The sentence for unreadable rows: how many, the first ten, and what to type."""
    bad, by_column = _first_of_each(bad), Counter(b.column for b in bad if b.column)
    lines = [f"  {table.row_name(b.row)}{f', column {b.column!r}' if b.column else ''}: {b.reason}" for b in bad]
    unparsed = [f"  row {b.row}: {b.reason}" for b in table.bad_rows]
    lines = [*unparsed[:1], *lines, *unparsed[1:]]
    more = f"\n  ... and {len(lines) - SHOWN_BAD_ROWS} more" if len(lines) > SHOWN_BAD_ROWS else ""
    lines = lines[:SHOWN_BAD_ROWS]
    count = len({b.row for b in bad}) + len({b.row for b in table.bad_rows})
    rows = counted(len(table) + len(table.bad_rows), "row")
    also = "".join(f" and {source}" for _, source, _ in table.appended)
    head = f"{count:,} of {rows} of {table.source}{also} cannot be read{_counts(by_column)}:"
    return "\n".join([head, *lines]) + (
        f"{more}\nMend them, or type on_bad_row='missing' (the cell counts as missing) or on_bad_row='skip' (the row "
        "is left out); both are counted in the report"
    )


def _first_of_each(bad: list[BadRow]) -> list[BadRow]:
    """Bad cells with the first of each column in front, so that none of what is wrong is left unsaid."""
    firsts: dict[str | None, BadRow] = {}
    for one in bad:
        firsts.setdefault(one.column, one)
    leading = {id(one) for one in firsts.values()}
    return [*firsts.values(), *(one for one in bad if id(one) not in leading)]


def _counts(by_column: Counter[str]) -> str:
    """How many cells of each column, where there are several columns."""
    if len(by_column) < 2:
        return ""
    each = [f"{name!r}: {counted(number, 'cell')}" for name, number in by_column.most_common()]
    return f" ({', '.join(each)})"
