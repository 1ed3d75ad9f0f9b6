"""Columns of ready vectors, or of sequences of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from plait.data.arrow_types import is_number, is_text, item_type
from plait.data.column_kind import CellChecks, ColumnKind, Sample
from plait.data.items import Found, column_items, note_doubts
from plait.data.media import content_key
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import Table
from plait.data.vectors import far_vectors, looks_like_vector, read_vector

if TYPE_CHECKING:
    from plait.data.checks.contents import Contents

_FAR = (
    "the vector is so far from the median of the column that it outweighs all others together; where a model learns "
    "from it, mean and standard deviation are its own and other rows look alike. Mend it (another unit?) or empty the "
    "cell"
)


def _is_vector(kind: pa.DataType) -> bool:
    """Lists of numbers, and lists of those."""
    item = item_type(kind)
    inner = item if item is None else item_type(item)
    return item is not None and (is_number(item) or (inner is not None and is_number(inner)))


def _claim(sample: Sample) -> str | None:
    if _is_vector(sample.type):
        return f"holds lists of numbers ({sample.type})"
    if is_text(sample.type) and replace(sample, values=sample.values[:100]).most(looks_like_vector):
        return "its values read like lists of numbers, or numpy files of them"
    return None


def _key(vector: Any) -> str:
    return content_key(repr(vector.shape).encode() + vector.tobytes())


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    def item_of(cell: Any) -> Found:
        vector = read_vector(cell, table.media_folder)
        return None if vector is None else (_key(vector), vector)

    items = column_items(table, modality, item_of, rows)
    widths = {v.shape[-1] for v in items.cells}
    if len(widths) == 1:
        note_doubts(items, {items.keys[i]: _FAR for i in far_vectors(items.cells)}, rows)
    return items


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    what = f"{len(cell)} vectors of {cell.shape[1]} numbers" if cell.ndim == 2 else f"vector of {len(cell)} numbers"
    return [{"text": what}]


def _examine(cell: Any, root: Root) -> str:
    vector = read_vector(cell, root)
    assert vector is not None
    return _key(vector)


def _compare(table: Table, name: str, contents: Contents) -> None:
    """What only shows beside the other vectors of the column: another width, and a distance of its own."""
    _compare_widths(table, name, contents)
    rows = [row for row, key in enumerate(contents.keys[name]) if key is not None]
    cells = table.column(name)
    vectors = [v for row in rows if (v := read_vector(cells[row], table.media_folder)) is not None]
    contents.doubtful.extend((rows[i], name, _FAR) for i in far_vectors(vectors))


def _compare_widths(table: Table, name: str, contents: Contents) -> None:
    """Call vectors broken whose width is not that of most."""
    widths = {}
    cells = table.column(name)
    for row, key in enumerate(contents.keys[name]):
        vector = read_vector(cells[row], table.media_folder) if key is not None else None
        if vector is not None:
            widths[row] = vector.shape[-1]
    usual = Counter(widths.values()).most_common(1)
    for row, width in widths.items():
        if width != usual[0][0]:
            contents.keys[name][row] = None
            contents.broken.append((row, name, f"the vector has {width} numbers, most have {usual[0][0]}"))


VECTOR = ColumnKind(
    fits=lambda kind: is_text(kind) or _is_vector(kind),
    holds="lists of numbers, JSON lists or paths of .npy files",
    read=_read,
    show=_show,
    claim=_claim,
    names_files=True,
    checks=CellChecks(
        ("P038", "rows without a vector"), "no column of vectors", _examine,
        broken=("P037", "unusable vectors", "every vector has its numbers"), compare=_compare,
        doubtful=("P045", "vectors far from the others", "no vector is far from the others"),
    ),
)  # fmt: skip
