"""A second table read as the first was and put behind it, and which of its rows show what rows that judge show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.api.decimal_commas import read_with_mark, readings_with
from plait.api.turned_dates import doubt_turned_dates
from plait.data.column_kind import kind_of
from plait.data.dealing import column_groups
from plait.data.kinds.text import text_key
from plait.data.remote.address import is_remote
from plait.data.rows import Items, Rows
from plait.data.schema import Schema
from plait.data.shared_content import most_shared, same_as
from plait.data.sources import open_source
from plait.data.table import Table
from plait.data.values import read_number
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.seen_rows import item_contents


def open_second(table: Table, other: Any, schema: Schema, task: Task, data: DataSettings, argument: str) -> Table:
    """A second table, its cells read as those of the first.

    Args:
        table: The first.
        other: The second, anything ``read_table`` takes.
        schema: Columns of the first.
        task: The task.
        data: Data settings of the run.
        argument: What named it, for messages: "more=".

    Raises:
        ValueError: It cannot be read, has none of the input columns, or names its files from another folder.
    """
    reading = replace(data, format=None, delimiter=None, columns=(), source=None)
    opened = open_source(other, reading, task=task.name, readings=readings_with(schema.readings, data.decimal)).table
    opened = doubt_turned_dates(read_with_mark(opened, schema, data.decimal), schema)
    if not set(opened.column_names) & set(schema.inputs):
        raise ValueError(
            f"{opened.source} ({argument}) has none of the input columns {', '.join(schema.inputs)}; it has "
            f"{', '.join(opened.column_names)}"
        )
    _check_folders(table, opened, schema, argument)
    return opened


def joined(
    table: Table, opened: Table, chosen: np.ndarray, schema: Schema, argument: str, *, optional: Sequence[str] = (),
) -> tuple[Table, list[str]]:  # fmt: skip
    """Both tables in one, the rows of the second numbered on from the last row of the first, and what must be told.

    The split column says "train" of the rows of the second.

    Args:
        table: The first.
        opened: The second.
        chosen: Positions of its rows that are taken.
        schema: Columns of the first.
        argument: What named the second.
        optional: Columns that are left empty where their cells are of another type.

    Raises:
        ValueError: A column has cells of another type than in the first table.
    """
    added, notes = opened.arrow.take(pa.array(chosen, pa.int64())), []
    rows = tuple(opened.row_number(int(i)) for i in chosen)
    columns = []
    for name in table.column_names:
        kind = table.arrow.schema.field(name).type
        if name == schema.split:
            columns.append(pa.chunked_array([pa.array(["train"] * len(added), pa.string()).cast(kind)]))
        elif name not in added.column_names:
            columns.append(pa.chunked_array([pa.nulls(len(added), kind)]))
        else:
            made = _as_kind(
                added, name, kind, opened.source, table.source, argument, rows, is_optional=name in optional
            )
            if made is None:
                made = pa.chunked_array([pa.nulls(len(added), kind)])
                notes.append(f"column {name!r} of {opened.source} is of another type and was left empty in its rows")
            columns.append(made)
    both = pa.concat_tables([table.arrow, pa.table(columns, schema=table.arrow.schema)])
    last = max((table.row_number(i) for i in range(len(table))), default=-1)
    numbers = [*(table.row_number(i) for i in range(len(table))), *range(last + 1, last + 1 + len(added))]
    notes += [
        f"{opened.source} has no column {c!r}; it counts as missing in its rows"
        for c in schema.inputs if c not in opened.column_names
    ]  # fmt: skip
    notes += [f"rows of {opened.source} are numbered from {last + 1:,} on here"] if len(added) else []
    appended = (*table.appended, (last + 1, opened.source, rows))
    return replace(table, arrow=both, row_numbers=tuple(numbers), appended=appended), notes


def tied_to(
    table: Table, schema: Schema, judging: np.ndarray, usable: np.ndarray, added: np.ndarray,
    hashes: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:  # fmt: skip
    """Of added rows, whether each shares a content or the group with a row that judges, bool [len(table)].

    Args:
        table: All rows.
        schema: Its columns.
        judging: Positions of validation, test and calibration rows.
        usable: Positions of all rows that count.
        added: Positions of the rows that are asked about.
        hashes: Of the rows' contents, and whether they hold any (``row_hashes``); None: whole rows are not compared.
    """
    tied = np.zeros(len(table), dtype=bool)
    if hashes is not None:
        found, known = hashes
        tied[added] = known[added] & np.isin(found[added], found[judging][known[judging]])
    tied[added] |= same_as(table, schema, added, judging, np.setdiff1d(usable, added))
    group_N = column_groups(table, schema)
    if group_N is not None:
        tied[added] |= np.isin(group_N[added], group_N[judging])
    return tied


def repeats_of_judged(rows: Rows, judging: np.ndarray, labelled: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Of added rows, whether all that one holds stands in a row that judges too, which may hold more.

    Inputs that many labelled rows share prove nothing. Texts are compared as :func:`text_key` has them.

    Args:
        rows: All rows, as they are read.
        judging: Positions of validation, test and calibration rows.
        labelled: Positions of the rows with a target.
        added: Positions of the rows that are asked about.
    """
    found = np.zeros(len(added), dtype=bool)
    names, present_NM = list(rows.items), rows.present_NM
    keys = {name: _contents(items) for name, items in rows.items.items()}
    for pattern in np.unique(present_NM[added], axis=0):
        chosen = [(keys[n], rows.items[n].index_N) for n, is_there in zip(names, pattern, strict=True) if is_there]
        if not chosen:
            continue

        def shown(row: int, parts: list[Any] = chosen) -> tuple[Any, ...]:
            return tuple(one[index[row]] if index[row] >= 0 else None for one, index in parts)

        counts = Counter(shown(int(i)) for i in labelled)
        proving = {one for one in (shown(int(i)) for i in judging) if counts[one] <= most_shared(len(labelled))}
        alike = (present_NM[added] == pattern).all(axis=1)
        found[alike] = [shown(int(i)) in proving for i in added[alike]]
    return found


def _contents(items: Items) -> list[Any]:
    """What tells the items of a modality apart."""
    if items.modality.kind == "text":
        return [text_key(str(cell)) for cell in items.cells]
    return list(item_contents(items))


def _check_folders(table: Table, opened: Table, schema: Schema, argument: str) -> None:
    """Refuse rows whose cells name files from another folder than those of the first table."""
    here, there = ((one.root or Path.cwd()).resolve() for one in (table, opened))
    if here == there or opened.root is None:
        return
    for modality in schema.modalities:
        if kind_of(modality).watched is None:
            continue
        for column in (c for c in modality.columns if c in opened.column_names):
            if any(isinstance(cell, str) and not is_remote(cell) for cell in opened.column(column)):
                raise ValueError(
                    f"cells of column {column!r} name files, in {opened.source} ({argument}) from {there} and in "
                    f"{table.source} from {here}; move the file there"
                )


def _as_kind(
    added: pa.Table, name: str, kind: pa.DataType, source: str, first: str, argument: str, rows: tuple[int, ...],
    *, is_optional: bool,
) -> pa.ChunkedArray | None:  # fmt: skip
    """A column of the added rows in the type that it has in the first table; None of an optional one of another."""
    try:
        return added.column(name).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if is_optional:
            return None
        raise ValueError(
            f"column {name!r} of {source} ({argument}) holds {added.column(name).type}, expected {kind} as in "
            f"{first}{_first_odd(added.column(name), kind, rows)}"
        ) from error


def _first_odd(column: pa.ChunkedArray, kind: pa.DataType, rows: tuple[int, ...]) -> str:
    """The first cell that is not of the type, by its row in its own file."""
    for number, cell in zip(rows, column, strict=True):
        try:
            cell.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return f"; row {number} of it holds {repr(cell.as_py())[:80]}{_decimal_hint(cell.as_py(), kind)}"
    return ""


def _decimal_hint(cell: Any, kind: pa.DataType) -> str:
    """What to type where a number is expected and the cell is one by a decimal comma."""
    is_number = isinstance(cell, str) and read_number(cell, ".") is None and read_number(cell, ",") is not None
    return "; if the comma is its decimal mark, type decimal=','" if is_number and not pa.types.is_string(kind) else ""
