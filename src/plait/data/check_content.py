"""Checks of contents: missing files, broken images, empty texts, duplicates, leakage between splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plait.data.contents import Contents
from plait.data.finding import Finding, name_rows
from plait.data.rowkeys import input_keys
from plait.data.schema import Schema
from plait.data.split import SPLIT_NAMES, Leak, find_leakage
from plait.data.table import Table


def content_checks(table: Table, schema: Schema, contents: Contents) -> Iterator[Finding]:
    """All checks of texts, images and whole rows."""
    yield from _images(table, schema, contents)
    yield _texts(table, schema, contents)
    yield _duplicates(table, schema, contents)
    yield from _leaks(table, schema, contents)


def _images(table: Table, schema: Schema, contents: Contents) -> Iterator[Finding]:
    names = [c.name for c in schema.columns if c.role == "input" and c.kind == "image"]
    titles = {"P030": "missing files", "P031": "broken images", "P032": "rows without an image"}
    if not names:
        for code, title in titles.items():
            yield Finding(code, "n/a", title, "no image column", [])
        return
    for code, faults in (("P030", contents.unread), ("P031", contents.broken)):
        if not faults:
            fine = "every file was found" if code == "P030" else "every image decodes"
            yield Finding(code, "ok", titles[code], fine, [])
            continue
        first = "; ".join(f"row {table.row_number(r)}, {name!r}: {why}" for r, name, why in faults[:3])
        rows = sorted({table.row_number(row) for row, _, _ in faults})
        yield Finding(code, "error", titles[code], f"{len(faults):,} cells in {len(rows):,} rows ({first})", rows)
    yield _empty_cells(table, "P032", titles["P032"], contents.absent)


def _texts(table: Table, schema: Schema, contents: Contents) -> Finding:
    if not any(c.role == "input" and c.kind == "text" for c in schema.columns):
        return Finding("P033", "n/a", "empty texts", "no text column", [])
    return _empty_cells(table, "P033", "empty texts", contents.blank)


def _empty_cells(table: Table, code: str, title: str, found: dict[str, list[int]]) -> Finding:
    if not found:
        return Finding(code, "ok", title, "none is empty", [])
    numbers = {name: [table.row_number(row) for row in rows] for name, rows in found.items()}
    detail = "; ".join(f"{name!r} in {len(rows):,} rows ({name_rows(rows)})" for name, rows in numbers.items())
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
    detail = f"{spare:,} rows repeat another (same inputs{' and target' if extra else ''}): {shown}"
    severity = "warning" if spare >= 0.01 * len(table) else "info"
    return Finding("P034", severity, title, detail, sorted(r for rows in found for r in rows))


def _leaks(table: Table, schema: Schema, contents: Contents) -> Iterator[Finding]:
    titles = {
        "P040": "same inputs in two splits",
        "P041": "same image in two splits",
        "P042": "same text in two splits",
        "P043": "same group in two splits",
    }
    splits = _split_names(table, schema)
    if splits is None:
        for code, title in titles.items():
            yield Finding(code, "n/a", title, "no split column with two splits", [])
        return
    kinds = {column.name: column.kind for column in schema.columns}
    whole: dict[str, Sequence[str | None]] = {"inputs": input_keys(table, schema, contents)}
    checked: dict[str, dict[str, Sequence[str | None]]] = {
        "P040": whole if schema.inputs else {},
        "P041": {n: keys for n, keys in contents.keys.items() if kinds[n] == "image"},
        "P042": {n: keys for n, keys in contents.keys.items() if kinds[n] == "text"},
        "P043": _group_keys(table, schema),
    }
    for code, columns in checked.items():
        if not columns:
            yield Finding(code, "n/a", titles[code], "no such column", [])
            continue
        leaks = find_leakage(splits, columns)
        severity = "error"
        if code == "P042":
            severity = "info" if any(_is_phrase_list(keys) for keys in columns.values()) else "warning"
        yield _leak_finding(table, code, titles[code], severity, leaks)


def _split_names(table: Table, schema: Schema) -> list[str] | None:
    if schema.split is None:
        return None
    values = table.column(schema.split)
    names = [SPLIT_NAMES.get(str(value).strip().lower(), f"{value}") for value in values]
    return names if len(set(names)) > 1 else None


def _group_keys(table: Table, schema: Schema) -> dict[str, Sequence[str | None]]:
    if schema.group is None:
        return {}
    return {schema.group: [None if v is None else repr(v) for v in table.column(schema.group)]}


def _is_phrase_list(keys: Sequence[str | None]) -> bool:
    """Whether most texts come back again and again, as set questions do; then they are no leakage."""
    given = [key for key in keys if key is not None]
    return bool(given) and len(set(given)) <= 0.5 * len(given)


def _leak_finding(table: Table, code: str, title: str, severity: str, leaks: list[Leak]) -> Finding:
    if not leaks:
        return Finding(code, "ok", title, "none", [])
    shown = []
    for leak in leaks[:3]:
        sides = (f"{n} {name_rows(map(table.row_number, rows))}" for n, rows in leak.rows_by_split.items())
        shown.append(f"{leak.column!r}: {' and '.join(sides)}")
    rows = {table.row_number(row) for leak in leaks for found in leak.rows_by_split.values() for row in found}
    detail = f"{len(leaks):,} contents stand in more than one split ({'; '.join(shown)})"
    return Finding(code, severity, title, detail, sorted(rows))
