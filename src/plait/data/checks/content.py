"""Checks of contents: missing files, broken images and sounds, empty cells, duplicates, leakage between splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from plait.data.checks.contents import Contents
from plait.data.checks.finding import Finding, name_rows
from plait.data.checks.parts import Parts
from plait.data.column_kind import COLUMN_KINDS, CellChecks, Keys
from plait.data.rowkeys import input_keys
from plait.data.schema import Schema
from plait.data.split import Leak, find_leakage
from plait.data.table import Table
from plait.registry import counted


def content_checks(table: Table, schema: Schema, contents: Contents, parts: Parts | None) -> Iterator[Finding]:
    """All checks of texts, media, vectors and whole rows."""
    yield _missing_files(table, schema, contents)
    for kinds in _sharing(lambda checks: checks.empty).values():
        yield from _cells(table, schema, contents, kinds)
    for kinds in _sharing(lambda checks: checks.doubtful[:2] if checks.doubtful is not None else None).values():
        yield _doubts(table, schema, contents, kinds)
    yield _duplicates(table, schema, contents)
    yield from _leaks(table, schema, contents, parts if parts is not None and parts.are_several else None)


def _sharing(finding: Callable[[CellChecks], tuple[str, str] | None]) -> dict[tuple[str, str], dict[str, CellChecks]]:
    """For each finding (code and title) the kinds that share it."""
    shared: dict[tuple[str, str], dict[str, CellChecks]] = {}
    for kind in COLUMN_KINDS:
        checks = COLUMN_KINDS.get(kind).checks
        named = finding(checks) if checks is not None else None
        if checks is not None and named is not None:
            shared.setdefault(named, {})[kind] = checks
    return shared


def _missing_files(table: Table, schema: Schema, contents: Contents) -> Finding:
    in_files = {k for kinds in _sharing(lambda c: c.empty if c.in_files else None).values() for k in kinds}
    if not any(column.role == "input" and column.kind in in_files for column in schema.columns):
        return Finding("P030", "n/a", "missing files", "no column of images or sounds", [])
    return _faults(table, "P030", "missing files", contents.unread, "every file was found")


def _cells(table: Table, schema: Schema, contents: Contents, kinds: dict[str, CellChecks]) -> Iterator[Finding]:
    """What is broken and what is empty in the columns of these kinds, which share their findings."""
    names = {c.name for c in schema.columns if c.role == "input" and c.kind in kinds}
    checks = next(iter(kinds.values()))
    if not names:
        for code, title in (*((checks.broken[:2],) if checks.broken is not None else ()), checks.empty):
            yield Finding(code, "n/a", title, checks.no_column, [])
        return
    if checks.broken is not None:
        code, title, fine = checks.broken
        yield _faults(table, code, title, [f for f in contents.broken if f[1] in names], fine)
    yield _empty_cells(table, *checks.empty, {n: rows for n, rows in contents.absent.items() if n in names})


def _doubts(table: Table, schema: Schema, contents: Contents, kinds: dict[str, CellChecks]) -> Finding:
    """Contents of these kinds that can be used and may not be what was meant."""
    names = {c.name for c in schema.columns if c.role == "input" and c.kind in kinds}
    checks = next(iter(kinds.values()))
    assert checks.doubtful is not None
    code, title, fine = checks.doubtful
    if not names:
        return Finding(code, "n/a", title, checks.no_column, [])
    return _faults(table, code, title, [f for f in contents.doubtful if f[1] in names], fine, "warning")


def _faults(
    table: Table, code: str, title: str, faults: list[tuple[int, str, str]], fine: str, severity: str = "error"
) -> Finding:
    if not faults:
        return Finding(code, "ok", title, fine, [])
    first = "; ".join(f"row {table.row_number(r)}, {name!r}: {why}" for r, name, why in faults[:3])
    rows = sorted({table.row_number(row) for row, _, _ in faults})
    return Finding(
        code, severity, title, f"{counted(len(faults), 'cell')} in {counted(len(rows), 'row')} ({first})", rows
    )


def _empty_cells(table: Table, code: str, title: str, found: dict[str, list[int]]) -> Finding:
    if not found:
        return Finding(code, "ok", title, "none is empty", [])
    numbers = {name: [table.row_number(row) for row in rows] for name, rows in found.items()}
    detail = "; ".join(f"{name!r} in {counted(len(rows), 'row')} ({name_rows(rows)})" for name, rows in numbers.items())
    return Finding(code, "warning", title, detail, sorted({r for rows in numbers.values() for r in rows}))


def _duplicates(table: Table, schema: Schema, contents: Contents) -> Finding:
    title = "duplicate rows"
    if not schema.inputs:
        return Finding("P034", "n/a", title, "no inputs", [])
    extra = (schema.target,) if schema.target is not None else ()
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(input_keys(table, schema, contents, extra=extra)):
        if key is not None:
            rows_of.setdefault(key, []).append(table.row_number(row))
    found = [rows for rows in rows_of.values() if len(rows) > 1]
    if not found:
        return Finding("P034", "ok", title, "no two rows are the same", [])
    spare = sum(len(rows) - 1 for rows in found)
    shown = "; ".join(name_rows(rows) for rows in found[:3])
    detail = (
        f"{counted(spare, 'row repeats', 'rows repeat')} another (same inputs{' and target' if extra else ''}): {shown}"
    )
    severity = "warning" if spare >= 0.01 * len(table) else "info"
    return Finding("P034", severity, title, detail, sorted(r for rows in found for r in rows))


def _leaks(table: Table, schema: Schema, contents: Contents, parts: Parts | None) -> Iterator[Finding]:
    inputs = {"inputs": input_keys(table, schema, contents)} if schema.inputs and parts is not None else {}
    found: dict[tuple[str, str], tuple[Mapping[str, Keys], str]] = {
        ("P040", "same inputs in two splits"): (inputs, "error"),
        ("P043", "same group in two splits"): (_group_keys(table, schema), "error"),
    }
    kinds = {column.name: column.kind for column in schema.columns}
    for leak, known in _sharing(lambda checks: checks.leak).items():
        columns: dict[str, Keys] = {n: keys for n, keys in contents.keys.items() if kinds[n] in known}
        found[leak] = columns, next(iter(known.values())).leak_severity(columns)
    for (code, title), (columns_found, severity) in found.items():
        if parts is None or not columns_found:
            why = "no split column with two splits" if parts is None else "no such column"
            yield Finding(code, "n/a", title, why, [])
        else:
            found_there = {n: _of_rows(keys, parts) for n, keys in columns_found.items()}
            yield _leak_finding(table, code, title, severity, find_leakage(parts.names, found_there), parts)


def _of_rows(keys: Keys, parts: Parts) -> Keys:
    """The contents of the rows that stand in a part."""
    return [key if part else None for key, part in zip(keys, parts.names, strict=True)]


def _group_keys(table: Table, schema: Schema) -> dict[str, Keys]:
    if schema.group is None:
        return {}
    return {schema.group: [None if v is None else repr(v) for v in table.column(schema.group)]}


def _leak_finding(
    table: Table, code: str, title: str, severity: str, leaks: list[Leak], parts: Parts
) -> Finding:  # fmt: skip
    if not leaks:
        return Finding(code, "ok", title, "none", [])
    shown = []
    for leak in leaks[:3]:
        sides = (f"{n} {name_rows(map(table.row_number, rows))}" for n, rows in leak.rows_by_split.items())
        shown.append(f"{leak.column!r}: {' and '.join(sides)}")
    rows = {table.row_number(row) for leak in leaks for found in leak.rows_by_split.values() for row in found}
    detail = f"{len(leaks):,} contents stand in more than one split ({'; '.join(shown)})"
    return Finding(code, parts.severity(severity), title, parts.with_told(detail), sorted(rows))
