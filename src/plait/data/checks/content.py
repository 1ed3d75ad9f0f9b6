"""Checks of contents: missing files, broken images and sounds, empty cells, duplicates, leakage between splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plait.data.checks.contents import Contents
from plait.data.checks.finding import Finding, name_rows
from plait.data.rowkeys import input_keys
from plait.data.schema import Schema
from plait.data.split import SPLIT_NAMES, Leak, find_leakage
from plait.data.table import Table

# Kinds, then code, title and good news of what is broken, then code and title of what is empty.
_MEDIA = (
    (("image", "image_set"), ("P031", "broken images", "every image decodes"), ("P032", "rows without an image")),
    (("audio",), ("P035", "broken sounds", "every sound decodes"), ("P036", "rows without a sound")),
    (("vector",), ("P037", "unusable vectors", "every vector has its numbers"), ("P038", "rows without a vector")),
)


def content_checks(table: Table, schema: Schema, contents: Contents) -> Iterator[Finding]:
    """All checks of texts, media, vectors and whole rows."""
    yield _missing_files(table, schema, contents)
    for subject in _MEDIA:
        yield from _media(table, schema, contents, *subject)
    yield _texts(table, schema, contents)
    yield _duplicates(table, schema, contents)
    yield from _leaks(table, schema, contents)


def _missing_files(table: Table, schema: Schema, contents: Contents) -> Finding:
    if not any(c.role == "input" and c.kind in ("image", "audio", "image_set") for c in schema.columns):
        return Finding("P030", "n/a", "missing files", "no column of images or sounds", [])
    return _faults(table, "P030", "missing files", contents.unread, "every file was found")


def _media(
    table: Table, schema: Schema, contents: Contents, kinds: tuple[str, ...], broken: tuple[str, str, str],
    empty: tuple[str, str],
) -> Iterator[Finding]:  # fmt: skip
    """What is broken and what is empty in the columns of these kinds."""
    names = {c.name for c in schema.columns if c.role == "input" and c.kind in kinds}
    code, title, fine = broken
    if not names:
        for one, what in (broken[:2], empty):
            yield Finding(one, "n/a", what, f"no column of {kinds[0]}s", [])
        return
    yield _faults(table, code, title, [f for f in contents.broken if f[1] in names], fine)
    yield _empty_cells(table, *empty, {n: rows for n, rows in contents.absent.items() if n in names})


def _faults(table: Table, code: str, title: str, faults: list[tuple[int, str, str]], fine: str) -> Finding:
    if not faults:
        return Finding(code, "ok", title, fine, [])
    first = "; ".join(f"row {table.row_number(r)}, {name!r}: {why}" for r, name, why in faults[:3])
    rows = sorted({table.row_number(row) for row, _, _ in faults})
    return Finding(code, "error", title, f"{len(faults):,} cells in {len(rows):,} rows ({first})", rows)


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
        "P044": "same sound in two splits",
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
        "P041": {n: keys for n, keys in contents.keys.items() if kinds[n] in ("image", "image_set")},
        "P042": {n: keys for n, keys in contents.keys.items() if kinds[n] == "text"},
        "P043": _group_keys(table, schema),
        "P044": {n: keys for n, keys in contents.keys.items() if kinds[n] == "audio"},
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
