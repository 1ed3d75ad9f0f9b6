"""What every table of predictions holds beside its answers: row numbers, the id column, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.schema import Schema
from plait.data.small_arrays import small_array
from plait.data.table import BadRow, Table
from plait.inputs.prepare import Prepared

OWN_COLUMNS = frozenset({
    "row", "prediction", "probability", "uncertainty", "problem", "set", "low", "high", "risk", "abstained",
})  # fmt: skip


def named_rows(table: Table, schema: Schema) -> dict[str, Any]:
    """The first columns: ``row`` (number in the source), and the id column where model and table have one.

    An id column whose name a table of predictions needs for itself is called ``id_<name>``.
    """
    numbers = [table.row_number(i) for i in range(len(table))]
    columns: dict[str, Any] = {"row": small_array(numbers, pa.int64())}
    name = schema.id
    if name and name in table.column_names:
        is_taken = name in OWN_COLUMNS or name.startswith("probability_")
        columns[f"id_{name}" if is_taken else name] = table.arrow.column(name)
    return columns


def problems_of(prepared: Prepared, task_needs_both_sides: bool) -> list[str | None]:
    """What is wrong with each row of the table, in words; None where all could be read.

    Args:
        prepared: The rows.
        task_needs_both_sides: Whether a row with one modality only has a side missing.
    """
    found: dict[int, list[str]] = {}
    for bad in [*prepared.rows.bad, *prepared.rows.unknown]:
        found.setdefault(bad.row, []).append(f"{bad.column}: {bad.reason}" if bad.column else bad.reason)
    num_present_N = prepared.rows.present_NM.sum(1)
    for i in np.flatnonzero(num_present_N == 0):
        found.setdefault(int(i), []).append("nothing to read in this row")
    if task_needs_both_sides:
        for i in np.flatnonzero(num_present_N == 1):
            found.setdefault(int(i), []).append("one side is missing")
    return ["; ".join(found[i]) if i in found else None for i in range(len(prepared.rows))]


def with_unparsed(made: pa.Table, unparsed: Sequence[BadRow]) -> pa.Table:
    """Add a line for every source row that could not even be parsed, so that none vanishes; by row."""
    if not unparsed:
        return made
    extra = pa.table({"row": [b.row for b in unparsed], "problem": [b.reason for b in unparsed]})
    return pa.concat_tables([made, extra], promote_options="default").sort_by("row")
