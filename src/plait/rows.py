"""Rows: what a table holds for a model. Per modality the unique items, and for every row which item it shows.

COCO has five captions a photo, and pairs repeat both; an item is encoded once and rows point at it. A cell
that cannot be read becomes a :class:`~plait.data.table.BadRow` with its row number and reason; the policy
decides what happens to the row, and every case is counted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.data.media import CellError, content_key, read_media
from plait.data.schema import Modality
from plait.data.table import BadRow, Table
from plait.registry import unknown_name
from plait.settings import BAD_ROW_POLICIES

SHOWN_BAD_ROWS = 10


@dataclass
class Items:
    """Unique items of one modality.

    Attributes:
        modality: Which modality.
        keys: sha256 of each item's content.
        cells: The cells as given: a text, an image cell, or for the tabular modality a mapping column ->
            value.
        index_N: Item shown by each row, -1 where it is missing.
    """

    modality: Modality
    keys: list[str]
    cells: list[Any]
    index_N: np.ndarray  # noqa: N815

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
        notes: Counts worth telling (texts that were blank, and so on).
    """

    table: Table
    items: dict[str, Items]
    bad: list[BadRow] = field(default_factory=list)
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


def read_rows(table: Table, modalities: Sequence[Modality]) -> Rows:
    """Read the cells of every modality and find their unique items.

    Image files are read once here for their content hash; pixels are decoded later, when an item is encoded.
    A column that the table lacks makes that modality missing in every row (and is noted).
    """
    rows = Rows(table, {})
    for modality in modalities:
        absent = [c for c in modality.columns if c not in table.column_names]
        if len(absent) == len(modality.columns):
            rows.items[modality.name] = Items(modality, [], [], np.full(len(table), -1, dtype=np.int64))
            rows.notes[f"column {modality.name} not in the table"] = len(table)
            continue
        read = {"text": _text_items, "image": _image_items, "tabular": _tabular_items}[modality.kind]
        rows.items[modality.name] = read(table, modality, rows)
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
    seen: dict[str, tuple[str, Any] | str] = {}

    def key_of(cell: Any) -> tuple[str, Any] | None:
        if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
            return None
        if not isinstance(cell, str) or len(cell) > 4096:
            return content_key(read_media(cell, table.root)), cell
        if cell not in seen:
            try:
                seen[cell] = (content_key(read_media(cell, table.root)), cell)
            except CellError as error:
                seen[cell] = str(error)
        found = seen[cell]
        if isinstance(found, str):
            raise CellError(found)
        return found

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
