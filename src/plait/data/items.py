"""Rows: what a table holds for a model. Per modality the unique items, and for every row which item it shows.

COCO has five captions a photo, and pairs repeat both; an item is encoded once and rows point at it. How a cell is read
says the record of its kind (:mod:`plait.data.column_kind`). A cell that cannot be read becomes a
:class:`~plait.data.table.BadRow` with its row number and reason; what happens to the row is decided in
:mod:`plait.data.bad_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.data.column_kind import kind_of
from plait.data.media import CellError, is_empty
from plait.data.schema import Modality
from plait.data.table import BadRow, Table

Found = tuple[str, Any] | None  # content hash of a cell and what is kept of it; None where it is empty


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
        rows.items[modality.name] = kind_of(modality).read(table, modality, rows)
    return rows


def column_items(table: Table, modality: Modality, item_of: Callable[[Any], Found], rows: Rows) -> Items:
    """The unique items of a modality of one column.

    Args:
        table: The table.
        modality: The modality.
        item_of: From a cell to its content hash and what is kept of it; None for an empty cell.
        rows: Gets a report of each cell for which ``item_of`` raises a ``CellError``.
    """
    return unique_items(modality, table.column(modality.columns[0]), item_of, rows)


def media_items(table: Table, modality: Modality, hash_of: Callable[[Any], str], rows: Rows) -> Items:
    """The unique items of a column of media, which keep their cells; equal paths are hashed once."""
    hash_once = once(hash_of)
    return column_items(table, modality, lambda cell: None if is_empty(cell) else (hash_once(cell), cell), rows)


def unique_items(modality: Modality, cells: list[Any], item_of: Callable[[Any], Found], rows: Rows) -> Items:
    """As ``column_items``, of cells that are no column of the table."""
    place: dict[str, int] = {}
    kept: list[Any] = []
    index_N = np.full(len(cells), -1, dtype=np.int64)
    for position, cell in enumerate(cells):
        try:
            found = item_of(cell)
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


def once(hash_of: Callable[[Any], str]) -> Callable[[Any], str]:
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
