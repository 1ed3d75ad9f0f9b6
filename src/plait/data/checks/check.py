"""The data doctor behind ``plait check``: coded checks of a table before anyone trains on it.

Every check always reports, in the order of its code, as error, warning, info, ok or n/a. Rows are named by
the number they have in the user's source. Nothing is repaired and nothing is dropped. The checks of the
table as such are here; those that need the target are in :mod:`plait.data.checks.target`, those of contents
in :mod:`plait.data.checks.content`, those of gaps in :mod:`plait.data.checks.missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from plait.data.arrow_types import is_text
from plait.data.checks.columns import column_checks
from plait.data.checks.content import content_checks
from plait.data.checks.contents import read_contents
from plait.data.checks.finding import CheckReport, Finding, name_rows
from plait.data.checks.missing import missing_checks
from plait.data.checks.parts import Parts, parts_of_column
from plait.data.checks.target import target_checks
from plait.data.column_kind import Hints
from plait.data.guess import count_distinct, kind_fault
from plait.data.schema import Schema, guess_schema
from plait.data.split import SPLIT_NAMES
from plait.data.table import Table
from plait.data.values import ColumnReading, is_missing_number, read_number
from plait.registry import counted

__all__ = ["CheckReport", "Finding", "check_table"]

_FEW, _VERY_FEW = 50, 10


def check_table(
    table: Table,
    schema: Schema | None = None,
    *,
    target: str | None = None,
    hints: Hints | None = None,
    split_by_time: str | None = None,
    parts: Parts | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check a table.

    Args:
        table: The table.
        schema: What its columns mean; None guesses it.
        target: The column to be predicted, for a schema that is guessed.
        hints: How to read cells that could be read in two ways.
        split_by_time: The column of dates or numbers that splits the rows, if one does.
        parts: The part of each row, where it is not the split column that says it.
        progress: Called with (done, all) image cells.

    Raises:
        ValueError: A target that is not there, or a schema of another table.

    Example:
        >>> from plait.data.table import read_table
        >>> report = check_table(read_table({"text": ["a b c d", "e f g h"], "y": ["u", "u"]}), target="y")
        >>> report.finding("P010").severity
        'error'
    """
    if schema is None:
        schema = guess_schema(table, target=target, hints=hints)
    else:
        _check_schema(table, schema, target, hints)
    contents = read_contents(table, schema, progress)
    read, parts = _with_numbers(table, schema), parts if parts is not None else parts_of_column(table, schema)
    findings = [
        *_table_checks(table, schema),
        *column_checks(table, schema, split_by_time),
        *content_checks(table, schema, contents, parts),
        *target_checks(read, schema, contents, parts),
        *missing_checks(read, schema, contents),
    ]
    findings.sort(key=lambda finding: finding.code)
    columns = tuple((c.name, c.role, c.kind or "-", c.reason) for c in schema.columns)
    return CheckReport(table.source, len(table), tuple(findings), schema.describe(), columns)


def _check_schema(table: Table, schema: Schema, target: str | None, hints: Hints | None) -> None:
    """Refuse a schema of another table."""
    if target is not None and target != schema.target:
        raise ValueError(f"target {target!r} and a schema whose target is {schema.target!r}; give one of them")
    for column in schema.columns:
        if column.name not in table.column_names:
            given = f"the schema has the column {column.name!r}, {table.source} has not"
            raise ValueError(f"{given}; guess the schema again")
        fault = kind_fault(table, column.name, column.kind, column.role, hints) if column.kind is not None else None
        if fault is not None:
            raise ValueError(f"{table.source}: {fault}")


def _with_numbers(table: Table, schema: Schema) -> Table:
    """The table with its columns of numbers as numbers where they are text; None where a cell is none or missing."""
    for column in schema.columns:
        if column.kind == "numeric" and is_text(table.arrow.schema.field(column.name).type):
            how = column.reading or ColumnReading("text")
            cells = table.column(column.name)
            numbers = [None if is_missing_number(c, how.missing) else read_number(c, how.mark) for c in cells]
            table = table.with_column(column.name, numbers)
    return table


def _table_checks(table: Table, schema: Schema) -> Iterator[Finding]:
    yield _unparsed(table)
    yield _few_rows(table)
    yield _all_missing(table, schema)
    yield _constant(table, schema)
    yield _not_finite(table, schema)
    yield _ids(table, schema)
    yield _splits(table, schema)
    title = "inputs"
    if schema.inputs:
        yield Finding(
            "P020", "ok", title, f"{counted(len(schema.modalities), 'modality', 'modalities')} to learn from", []
        )
    else:
        yield Finding("P020", "error", title, "no column is an input; name one with text=, image=, ...", [])


def _unparsed(table: Table) -> Finding:
    title = "unparsable rows"
    if not table.bad_rows:
        return Finding("P001", "ok", title, "every row was read", [])
    rows = [bad.row for bad in table.bad_rows]
    first = "; ".join(f"row {bad.row}: {bad.reason}" for bad in table.bad_rows[:3])
    return Finding("P001", "error", title, f"{counted(len(rows), 'row')} cannot be read ({first})", rows)


def _few_rows(table: Table) -> Finding:
    n, title, rows = len(table), "number of rows", counted(len(table), "row")
    if n < _VERY_FEW:
        return Finding("P002", "error", title, f"{rows}; fewer than {_VERY_FEW} cannot be split and learned from", [])
    if n < _FEW:
        return Finding("P002", "warning", title, f"{rows}; below {_FEW} every score is mostly chance", [])
    return Finding("P002", "ok", title, rows, [])


def _used(schema: Schema) -> list[str]:
    return [c.name for c in schema.columns if c.role != "ignored" or c.reason == "every value is missing"]


def _all_missing(table: Table, schema: Schema) -> Finding:
    empty = [n for n in _used(schema) if table.arrow.column(n).null_count == len(table)]
    title = "columns without a value"
    if not empty:
        return Finding("P003", "ok", title, "every column has values", [])
    severity = "error" if schema.target in empty else "warning"
    return Finding("P003", severity, title, f"every value is missing in {', '.join(map(repr, empty))}", [])


def _constant(table: Table, schema: Schema) -> Finding:
    title = "constant columns"
    if len(table) < 2:
        return Finding("P004", "n/a", title, "one row", [])
    found = []
    for name in schema.inputs:
        column = table.arrow.column(name)
        if count_distinct(table, name) == 1 or (pa.types.is_nested(column.type) and _all_equal(table, name)):
            if column.null_count == 0 and len(column) > 1:
                found.append(name)
    if not found:
        return Finding("P004", "ok", title, "every input varies", [])
    return Finding("P004", "warning", title, f"one value in every row: {', '.join(map(repr, found))}", [])


def _all_equal(table: Table, name: str) -> bool:
    values = table.column(name)
    return all(value == values[0] for value in values)


def _not_finite(table: Table, schema: Schema) -> Finding:
    title = "infinite numbers"
    names = [n for n in (*schema.inputs, *([schema.target] if schema.target else [])) if _is_float(table, n)]
    if not names:
        return Finding("P005", "n/a", title, "no column of decimal numbers", [])
    bad: dict[str, list[int]] = {}
    for name in names:
        flags = pc.fill_null(pc.is_inf(table.arrow.column(name)), False)
        rows = np.flatnonzero(flags.to_numpy()).tolist()
        if rows:
            bad[name] = [table.row_number(row) for row in rows]
    if not bad:
        return Finding("P005", "ok", title, "every number is finite", [])
    detail = "; ".join(f"{name!r} in {name_rows(rows)}" for name, rows in bad.items())
    return Finding("P005", "error", title, detail, sorted({r for rows in bad.values() for r in rows}))


def _is_float(table: Table, name: str) -> bool:
    return bool(pa.types.is_floating(table.arrow.schema.field(name).type))


def _ids(table: Table, schema: Schema) -> Finding:
    title = "ids"
    if schema.id is None:
        return Finding("P006", "n/a", title, "no id column", [])
    seen: dict[str, list[int]] = {}
    missing: list[int] = []
    for row, value in enumerate(table.column(schema.id)):
        number = table.row_number(row)
        if value is None:
            missing.append(number)
        else:
            seen.setdefault(repr(value), []).append(number)
    twice = {value: rows for value, rows in seen.items() if len(rows) > 1}
    if not twice and not missing:
        return Finding("P006", "ok", title, f"every row has its own {schema.id!r}", [])
    parts = [f"{value} in {name_rows(rows)}" for value, rows in list(twice.items())[:3]]
    parts += [f"none in {name_rows(missing)}"] if missing else []
    rows = sorted({*missing, *(r for found in twice.values() for r in found)})
    return Finding("P006", "error", title, f"{len(twice)} ids are given twice or more; {'; '.join(parts)}", rows)


def _splits(table: Table, schema: Schema) -> Finding:
    title = "split column"
    if schema.split is None:
        return Finding("P007", "n/a", title, "no split column", [])
    counts = {"train": 0, "val": 0, "test": 0}
    odd: list[int] = []
    for row, value in enumerate(table.column(schema.split)):
        name = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
        if name is None:
            odd.append(table.row_number(row))
        else:
            counts[name] += 1
    shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    if odd:
        return Finding("P007", "error", title, f"neither train, val nor test in {name_rows(odd)}", odd)
    if counts["train"] == 0:
        return Finding("P007", "warning", title, f"no train rows ({shown}); the table can be judged on only", [])
    if counts["test"] == 0 and counts["val"] == 0:
        return Finding("P007", "warning", title, f"all rows are train ({shown}); nothing is left to judge on", [])
    return Finding("P007", "ok", title, shown, [])
