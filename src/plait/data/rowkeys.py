"""One key a row, equal for rows whose inputs are equal: contents by their hash, other values as they are."""

from __future__ import annotations

from plait.data.checks.contents import Contents
from plait.data.media import content_key
from plait.data.schema import Schema
from plait.data.table import Table


def input_keys(table: Table, schema: Schema, contents: Contents, *, extra: tuple[str, ...] = ()) -> list[str | None]:
    """The key of each row over all inputs, and over ``extra`` columns too.

    A row without any content (every input missing) has None, and so has a row with a fault in an image: what
    cannot be read is not called equal.
    """
    faulty = {row for row, _, _ in (*contents.unread, *contents.broken)}
    parts: list[list[str]] = []
    empty = [True] * len(table)
    for name in (*schema.inputs, *extra):
        values = contents.keys[name] if name in contents.keys else table.column(name)
        for row, value in enumerate(values):
            empty[row] = empty[row] and (value is None or name in extra)
        parts.append([repr(value) for value in values])
    keys: list[str | None] = []
    for row, cells in enumerate(zip(*parts, strict=True)):
        keys.append(None if row in faulty or empty[row] else content_key("\x1f".join(cells).encode("utf-8", "replace")))
    return keys or [None] * len(table)
