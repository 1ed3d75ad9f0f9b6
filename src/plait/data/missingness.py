"""Hiding cells of a table, at random or not: for tests, benchmarks and the question what a model does without.

A table comes in, the same table with some cells empty goes out, and with it which cells were hidden. Rubin's terms:
missing completely at random (MCAR), where nothing of the row matters; missing not at random (MNAR), where the chance
of a cell to be missing hangs on a value of the row, such as the target or the cell itself.

Reference: Rubin 1976 (Inference and missing data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from plait.data.table import Table
from plait.registry import unknown_name

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Columns = str | tuple[str, ...]


def hide_at_random(
    table: Table,
    rates: Mapping[Columns, float],
    *,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    keep_one: bool = False,
) -> tuple[Table, dict[Columns, Bools]]:
    """Empty cells completely at random (MCAR).

    Args:
        table: The table; it stays as it is.
        rates: Probability of each column to be emptied in a row, 0 to 1. A tuple of columns is emptied together, as
            the numbers that make one modality.
        seed: Same arguments, same cells.
        rows: Positions of the rows that may lose cells; None: all.
        keep_one: A row that would lose everything named keeps one of it, drawn evenly.

    Returns:
        The table, and for each key of ``rates`` which rows lost it [N].

    Raises:
        ValueError: An unknown column, a probability outside 0 to 1, or a position that is not there.

    Example:
        >>> from plait.data.table import read_table
        >>> table, hidden = hide_at_random(read_table({"text": ["a", "b", "c"]}), {"text": 1.0}, rows=[1])
        >>> table.column("text"), hidden["text"].tolist()
        (['a', None, 'c'], [False, True, False])
    """
    chances = {columns: np.full(len(table), float(rate)) for columns, rate in rates.items()}
    return _hide(table, chances, seed, rows, keep_one)


def hide_not_at_random(
    table: Table,
    columns: Sequence[Columns],
    chance: Callable[[Any], float],
    *,
    by: str,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    keep_one: bool = False,
) -> tuple[Table, dict[Columns, Bools]]:
    """Empty cells with a probability that hangs on a value of the row (MNAR).

    Args:
        table: The table; it stays as it is.
        columns: What to empty; each by itself, a tuple of columns together.
        chance: From the value of ``by`` (None where it is missing) to the probability of a row, 0 to 1.
        by: The column that decides: the target, or a column that is itself emptied.
        seed: Same arguments, same cells.
        rows: Positions of the rows that may lose cells; None: all.
        keep_one: A row that would lose everything named keeps one of it, drawn evenly.

    Returns:
        As :func:`hide_at_random`.

    Raises:
        ValueError: As :func:`hide_at_random`.

    Example:
        >>> from plait.data.table import read_table
        >>> table = read_table({"text": ["a", "b"], "label": ["good", "bad"]})
        >>> hide_not_at_random(table, ["text"], lambda label: float(label == "bad"), by="label")[0].column("text")
        ['a', None]
    """
    chance_N = np.array([float(chance(value)) for value in table.column(by)], dtype=np.float64)
    return _hide(table, dict.fromkeys(columns, chance_N), seed, rows, keep_one)


def _hide(
    table: Table, chances: Mapping[Columns, Floats], seed: int, rows: Sequence[int] | None, keep_one: bool
) -> tuple[Table, dict[Columns, Bools]]:
    for columns, chance_N in chances.items():
        for name in _names(columns):
            if name not in table.column_names:
                raise ValueError(f"{table.source}: {unknown_name('column', name, table.column_names)}")
        if not ((chance_N >= 0) & (chance_N <= 1)).all():
            worst = chance_N[~((chance_N >= 0) & (chance_N <= 1))][0]
            raise ValueError(f"the probability of hiding {columns!r} is {worst:.6g}; expected a number from 0 to 1")
    allowed_N = np.ones(len(table), dtype=np.bool_)
    if rows is not None:
        wrong = [r for r in rows if not 0 <= r < len(table)]
        if wrong:
            raise ValueError(f"row position {wrong[0]} is not in a table of {len(table)} rows")
        allowed_N = np.zeros(len(table), dtype=np.bool_)
        allowed_N[list(rows)] = True
    rng = np.random.default_rng(seed)
    hidden = {columns: allowed_N & (rng.random(len(table)) < chance_N) for columns, chance_N in chances.items()}
    if keep_one and hidden:
        all_KN = np.stack(list(hidden.values()))
        kept_N = rng.integers(len(all_KN), size=len(table))
        all_KN[kept_N, np.arange(len(table))] &= ~all_KN.all(axis=0)
        hidden = dict(zip(hidden, all_KN, strict=True))
    arrow = table.arrow
    for columns, hidden_N in hidden.items():
        index = pa.array(np.arange(len(table)), mask=hidden_N)
        for name in _names(columns):
            place = arrow.column_names.index(name)
            arrow = arrow.set_column(
                place, arrow.schema.field(name).with_nullable(True), arrow.column(name).take(index)
            )
    return replace(table, arrow=arrow), hidden


def _names(columns: Columns) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns
