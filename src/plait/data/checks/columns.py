"""Checks of columns as wholes: those left out, cells that are no numbers or dates, units, dates that say something."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from plait.data.arrow_types import is_text
from plait.data.checks.finding import Finding
from plait.data.dates import date_cells
from plait.data.moments import read_moment
from plait.data.nearly_numeric import common_unit, number_cells
from plait.data.reads_like import rows_in_words, unit_advice
from plait.data.schema import Column, Schema, left_out_columns
from plait.data.table import Table

_TITLES = {
    "P021": "columns left out",
    "P022": "cells that are no numbers",
    "P023": "cells that are no dates",
    "P024": "numbers with a unit",
    "P025": "split over time",
    "P026": "dates that stand for nothing",
}
_SHOWN = 10
_FIRST, _LAST = 1900, 2100  # years from which and to which dates are of people and things of today


def column_checks(table: Table, schema: Schema, split_by_time: str | None = None) -> Iterator[Finding]:
    """All of them; ``split_by_time`` is the column of dates or numbers that splits the rows, if one does."""
    used = [c for c in schema.columns if c.role in ("input", "target")]
    yield _left_out(schema)
    yield _no_numbers(table, [c for c in used if c.kind == "numeric"])
    yield _no_dates(table, schema)
    yield _units(table, schema)
    yield _over_time(schema, split_by_time)
    yield _far_dates(table, [c for c in used if c.kind == "date"])


def _left_out(schema: Schema) -> Finding:
    left = [c for c in left_out_columns(schema) if c.reason != "every value is missing"]  # P003 names those
    if not left:
        return Finding("P021", "ok", _TITLES["P021"], "every column is used", [])
    shown = "; ".join(f"{c.name!r} ({c.reason})" for c in left[:_SHOWN])
    more = f"; and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return Finding("P021", "info", _TITLES["P021"], shown + more, [])


def _no_numbers(table: Table, columns: Sequence[Column]) -> Finding:
    written = [c for c in columns if is_text(table.arrow.schema.field(c.name).type)]
    if not written:
        return Finding("P022", "n/a", _TITLES["P022"], "no text is read as numbers", [])
    found = {}
    for column in written:
        cells = number_cells(table.column(column.name), column.reading.mark if column.reading is not None else None)
        found[column.name] = cells.odd, cells.marked
    return _odd_cells(table, "P022", found, "every cell is a number")


def _no_dates(table: Table, schema: Schema) -> Finding:
    columns = [c for c in schema.columns if c.kind == "date" and c.role in ("input", "target")]
    open_ones = [c for c in left_out_columns(schema) if c.reason.startswith("reads like dates")]
    if open_ones:
        detail = "; ".join(f"{c.name!r} {c.reason}" for c in open_ones)
        return Finding("P023", "warning", _TITLES["P023"], detail, [])
    if not columns:
        return Finding("P023", "n/a", _TITLES["P023"], "no column of dates", [])
    found = {}
    for column in columns:
        cells = date_cells(
            table.column(column.name), (column.reading.order if column.reading is not None else "") or None
        )
        found[column.name] = cells.odd, cells.marked
    return _odd_cells(table, "P023", found, "every cell is a date")


def _odd_cells(
    table: Table, code: str, found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]], fine: str
) -> Finding:
    """What is neither number nor date, which the policy for bad rows decides on, and what counts as missing."""
    parts, rows = [], set()
    for name, (odd, marked) in found.items():
        rows |= {table.row_number(place) for place in (*odd, *marked)}
        if odd:
            parts.append(f"{name!r} holds {rows_in_words(table, name, odd)}: decide with on_bad_row=")
        if marked:
            parts.append(f"{name!r} holds {rows_in_words(table, name, marked)}: counts as missing")
    if not parts:
        return Finding(code, "ok", _TITLES[code], fine, [])
    return Finding(code, "warning", _TITLES[code], "; ".join(parts), sorted(rows))


def _units(table: Table, schema: Schema) -> Finding:
    texts = [
        c.name for c in schema.columns
        if c.role in ("input", "target", "ignored") and is_text(table.arrow.schema.field(c.name).type)
    ]  # fmt: skip
    found = {name: unit for name in texts if (unit := common_unit(table.column(name))) is not None}
    if not found:
        return Finding("P024", "ok" if texts else "n/a", _TITLES["P024"], "none", [])
    detail = "; ".join(f"{name!r} holds {unit_advice(unit)}" for name, unit in found.items())
    return Finding("P024", "warning", _TITLES["P024"], detail, [])


def _over_time(schema: Schema, split_by_time: str | None) -> Finding:
    if split_by_time is not None:
        return Finding("P025", "ok", _TITLES["P025"], f"rows are split by time, by column {split_by_time!r}", [])
    dates = [c.name for c in schema.columns if c.kind == "date" and c.role == "input"]
    if not dates:
        return Finding("P025", "n/a", _TITLES["P025"], "no column of dates", [])
    if schema.split is not None:
        return Finding("P025", "ok", _TITLES["P025"], f"the column {schema.split!r} splits the rows", [])
    detail = (
        f"rows are split at random, so the model is judged on days it has seen others of; where it shall tell what "
        f"comes, type split_by_time={dates[0]!r}"
    )
    return Finding("P025", "warning", _TITLES["P025"], detail, [])


def _far_dates(table: Table, columns: Sequence[Column]) -> Finding:
    if not columns:
        return Finding("P026", "n/a", _TITLES["P026"], "no column of dates", [])
    parts, rows = [], set()
    for column in columns:
        order = column.reading.order if column.reading is not None else ""
        far = []
        for place, cell in enumerate(table.column(column.name)):
            moment = None if cell is None or isinstance(cell, datetime.time) else read_moment(cell, order)
            if moment is not None and not moment.is_time_only and _stands_for_nothing(moment.at):
                far.append(place)
        if far:
            rows |= {table.row_number(place) for place in far}
            parts.append(f"{column.name!r} holds {rows_in_words(table, column.name, far)}")
    if not parts:
        return Finding("P026", "ok", _TITLES["P026"], "none", [])
    return Finding(
        "P026", "warning", _TITLES["P026"], f"{'; '.join(parts)}; leave cells without a date empty", sorted(rows)
    )


def _stands_for_nothing(at: datetime.datetime) -> bool:
    return not _FIRST <= at.year <= _LAST or (at.year, at.month, at.day) in (
        (_FIRST, 1, 1),
        (_LAST, 12, 31),
        (_LAST, 1, 1),
    )
