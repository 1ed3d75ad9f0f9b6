"""Rows: what a table holds for a model. Per modality the unique items, and for every row which item it shows.

COCO has five captions a photo, and pairs repeat both; an item is encoded once and rows point at it. A cell
that cannot be read becomes a :class:`~plait.data.table.BadRow` with its row number and reason; the policy
decides what happens to the row, and every case is counted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.data.checks.contents import is_empty
from plait.data.imageset import read_image_set
from plait.data.media import CellError, content_key, read_media
from plait.data.schema import Modality
from plait.data.sound import find_sound, sound_key
from plait.data.table import BadRow, Table
from plait.data.vectors import read_vector
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES

SHOWN_BAD_ROWS = 10


@dataclass
class Items:
    """Unique items of one modality.

    Attributes:
        modality: Which modality.
        keys: sha256 of each item's content.
        cells: The cells as given: a text, an image or sound cell; an array for a vector; the numbers of its parts
            for a set; for the tabular modality a mapping column -> value.
        index_N: Item shown by each row, -1 where it is missing.
        parts: For sets, their unique members; else None.
    """

    modality: Modality
    keys: list[str]
    cells: list[Any]
    index_N: np.ndarray  # noqa: N815
    parts: Items | None = None

    def drop(self, failures: dict[int, str]) -> list[tuple[int, str]]:
        """Mark rows that show a failed item as missing; returns (row, reason) for each."""
        rows = [(int(r), failures[int(i)]) for r, i in enumerate(self.index_N) if int(i) in failures]
        for row, _ in rows:
            self.index_N[row] = -1
        return rows


@dataclass
class Rows:
    """All modalities of a table, row by row.

    Attributes:
        table: The table they came from.
        items: Items per modality name, in model order.
        bad: Cells that could not be read.
        unknown: Cells that could be read and say nothing to the model: categories that training did not have.
        notes: Counts worth telling (texts that were blank, and so on).
    """

    table: Table
    items: dict[str, Items]
    bad: list[BadRow] = field(default_factory=list)
    unknown: list[BadRow] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def present_NM(self) -> np.ndarray:  # noqa: N802
        """True where a row has the modality, [N, M]."""
        return np.stack([items.index_N >= 0 for items in self.items.values()], axis=1)

    @property
    def index_NM(self) -> np.ndarray:  # noqa: N802
        """Item number of each modality in each row, [N, M]; -1 where missing."""
        return np.stack([items.index_N for items in self.items.values()], axis=1)

    def bad_positions(self) -> set[int]:
        """Positions (0-based in the table) of rows with at least one bad cell."""
        return {b.row for b in self.bad}

    def report(self, position: int, column: str | None, reason: str) -> None:
        """Record a bad cell at a position of the table."""
        self.bad.append(BadRow(position, column, reason))

    def set_aside(self, position: int, column: str | None, reason: str) -> None:
        """Record a cell that could be read and says nothing to the model, such as a category it never saw."""
        self.unknown.append(BadRow(position, column, reason))


def read_rows(table: Table, modalities: Sequence[Modality]) -> Rows:
    """Read the cells of every modality and find their unique items.

    Files of images and sounds are read once here for their content hash; they are decoded later, when an item is
    encoded.
    A column that the table lacks makes that modality missing in every row (and is noted).
    """
    rows = Rows(table, {})
    for modality in modalities:
        absent = [c for c in modality.columns if c not in table.column_names]
        if len(absent) == len(modality.columns):
            rows.items[modality.name] = Items(modality, [], [], np.full(len(table), -1, dtype=np.int64))
            rows.notes[f"column {modality.name} not in the table"] = len(table)
            continue
        rows.items[modality.name] = READERS[modality.kind](table, modality, rows)
    return rows


def _text_items(table: Table, modality: Modality, rows: Rows) -> Items:
    def key_of(cell: Any) -> tuple[str, Any] | None:
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return None
        if isinstance(cell, bytes | bytearray | dict | list):
            raise CellError(f"expected text, got {type(cell).__name__}")
        text = str(cell)
        if not text.strip():
            return None
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text.encode(
            "utf-8", "replace"
        ).decode()

    return _unique(table, modality, table.column(modality.columns[0]), key_of, rows)


def _image_items(table: Table, modality: Modality, rows: Rows) -> Items:
    return _media_items(table, modality, rows, lambda cell: content_key(read_media(cell, table.root)))


def _sound_items(table: Table, modality: Modality, rows: Rows) -> Items:
    return _media_items(table, modality, rows, lambda cell: sound_key(find_sound(cell, table.root)))


def _media_items(table: Table, modality: Modality, rows: Rows, hash_of: Callable[[Any], str]) -> Items:
    hash_once = _once(hash_of)

    def key_of(cell: Any) -> tuple[str, Any] | None:
        return None if is_empty(cell) else (hash_once(cell), cell)

    return _unique(table, modality, table.column(modality.columns[0]), key_of, rows)


def _once(hash_of: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same function, which looks at equal paths once."""
    seen: dict[str, str | CellError] = {}

    def hash_once(cell: Any) -> str:
        if not isinstance(cell, str) or len(cell) > 4096:
            return hash_of(cell)
        if cell not in seen:
            try:
                seen[cell] = hash_of(cell)
            except CellError as error:
                seen[cell] = error
        found = seen[cell]
        if isinstance(found, CellError):
            raise CellError(str(found))
        return found

    return hash_once


def _set_items(table: Table, modality: Modality, rows: Rows) -> Items:
    """Sets of images: equal sets are one item, equal images one part; members stand in the order of their keys."""
    place: dict[str, int] = {}
    parts: list[Any] = []
    hash_once = _once(lambda cell: content_key(read_media(cell, table.root)))

    def key_of(cell: Any) -> tuple[str, Any] | None:
        members = []
        for number, part in enumerate(read_image_set(cell, table.root)):
            try:
                members.append((hash_once(part), part))
            except CellError as error:
                raise CellError(f"image {number} of the set: {error}") from error
        if not members:
            return None
        for key, part in members:
            if key not in place:
                place[key] = len(parts)
                parts.append(part)
        keys = sorted(key for key, _ in members)
        return content_key(" ".join(keys).encode()), [place[key] for key in keys]

    items = _unique(table, modality, table.column(modality.columns[0]), key_of, rows)
    items.parts = Items(modality, list(place), parts, np.zeros(0, dtype=np.int64))
    return items


def _vector_items(table: Table, modality: Modality, rows: Rows) -> Items:
    def key_of(cell: Any) -> tuple[str, Any] | None:
        vector = read_vector(cell, table.root)
        return None if vector is None else (content_key(repr(vector.shape).encode() + vector.tobytes()), vector)

    return _unique(table, modality, table.column(modality.columns[0]), key_of, rows)


def _tabular_items(table: Table, modality: Modality, rows: Rows) -> Items:
    present = [c for c in modality.columns if c in table.column_names]
    columns = {c: table.column(c) if c in present else [None] * len(table) for c in modality.columns}

    def key_of(cell: Any) -> tuple[str, Any] | None:
        if all(v is None or v == "" or (isinstance(v, float) and math.isnan(v)) for v in cell.values()):
            return None
        return hashlib.sha256(repr(sorted(cell.items())).encode("utf-8", "surrogatepass")).hexdigest(), cell

    cells = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return _unique(table, modality, cells, key_of, rows)


READERS: dict[str, Callable[[Table, Modality, Rows], Items]] = {
    "text": _text_items,
    "image": _image_items,
    "audio": _sound_items,
    "image_set": _set_items,
    "vector": _vector_items,
    "tabular": _tabular_items,
}


def _unique(table: Table, modality: Modality, cells: list[Any], key_of: Any, rows: Rows) -> Items:
    place: dict[str, int] = {}
    kept: list[Any] = []
    index_N = np.full(len(cells), -1, dtype=np.int64)
    for position, cell in enumerate(cells):
        try:
            found = key_of(cell)
        except CellError as error:
            rows.report(position, modality.columns[0], str(error))
            continue
        if found is None:
            continue
        key, value = found
        if key not in place:
            place[key] = len(kept)
            kept.append(value)
        index_N[position] = place[key]
    return Items(modality, list(place), kept, index_N)


def apply_policy(rows: Rows, policy: str) -> np.ndarray:
    """Decide what happens to rows with bad cells.

    Returns:
        Positions of the rows that stay, in order.

    Raises:
        ValueError: ``policy`` is "error" and there are bad rows; the first ten are named. Or no such policy.
    """
    if policy not in BAD_ROW_POLICIES:
        raise ValueError(unknown_name("on_bad_row", policy, list(BAD_ROW_POLICIES)))
    if policy == "error" and (rows.bad or rows.table.bad_rows):
        raise ValueError(bad_rows_message(rows.bad, rows.table))
    if policy == "missing":
        return np.arange(len(rows))
    bad = rows.bad_positions()
    return np.array([i for i in range(len(rows)) if i not in bad], dtype=np.int64)


def bad_rows_message(bad: list[BadRow], table: Table) -> str:
    """The sentence for unreadable rows: how many, the first ten, and what to type."""
    lines = [
        f"  row {table.row_number(b.row)}{f', column {b.column!r}' if b.column else ''}: {b.reason}" for b in bad
    ] + [f"  row {b.row}: {b.reason}" for b in table.bad_rows]
    more = f"\n  ... and {len(lines) - SHOWN_BAD_ROWS} more" if len(lines) > SHOWN_BAD_ROWS else ""
    lines = lines[:SHOWN_BAD_ROWS]
    count = len({b.row for b in bad}) + len({b.row for b in table.bad_rows})
    return (
        f"{count} of {len(table) + len(table.bad_rows)} rows of {table.source} cannot be read:\n"
        + "\n".join(lines)
        + more
        + "\n"
        "Mend them, or type --on-bad-row missing (the cell counts as missing) or --on-bad-row skip (the row "
        "is left out); both are counted in the report"
    )
