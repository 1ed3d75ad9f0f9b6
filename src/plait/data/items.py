"""Rows: what a table holds for a model. Per modality the unique items, and for every row which item it shows.

COCO has five captions a photo, and pairs repeat both; an item is encoded once and rows point at it. How a cell is read
says the record of its kind (:mod:`plait.data.column_kind`). A cell that cannot be read becomes a
:class:`~plait.data.table.BadRow` with its row number and reason; what happens to the row is decided in
:mod:`plait.data.bad_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plait.data.checks.finding import name_rows
from plait.data.column_kind import kind_of
from plait.data.media import CellError, is_empty
from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.remote.columns import bring_columns
from plait.data.rows import Items, Rows
from plait.data.table import Table

Found = tuple[str, Any] | None  # content hash of a cell and what is kept of it; None where it is empty


def read_rows(table: Table, modalities: Sequence[Modality], progress: Progress | None = None) -> Rows:
    """Read the cells of every modality and find their unique items.

    Files of images and sounds are read once here for their content hash; they are decoded later, when an item is
    encoded.
    A column that the table lacks makes that modality missing in every row (and is noted). Objects that cells name by
    their address are brought first; ``progress`` counts them.
    """
    bring_columns(table, [c for m in modalities if kind_of(m).names_files for c in m.columns], progress)
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


def note_doubts(items: Items, doubts: dict[str, str], rows: Rows) -> None:
    """Tell of the rows that show items of which there is a doubt, by the keys of the items."""
    by_doubt: dict[str, list[int]] = {}
    name = items.modality.name
    for position, item in enumerate(items.index_N.tolist()):
        if item >= 0 and items.keys[item] in doubts:
            doubt = doubts[items.keys[item]]
            rows.set_aside(position, items.modality.columns[0], doubt)
            by_doubt.setdefault(doubt, []).append(rows.table.row_number(position))
    for doubt, numbers in by_doubt.items():
        rows.doubts.append(f"{name}: {len(numbers):,} of {len(rows):,} rows ({name_rows(numbers)}): {doubt}")
