"""Columns of sets of images, any number in a cell: equal sets are one item, equal images one part of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.arrow_types import is_list, is_media, is_text, item_type
from plait.data.column_kind import ColumnKind, Sample
from plait.data.imageset import read_image_set, read_like_image_sets
from plait.data.items import Found, column_items, note_doubts, once
from plait.data.kinds.image import IMAGE, examine_image, image_key, picture
from plait.data.media import CellError, MissingFileError, content_key, looks_like_image, read_media
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.picture import doubtful_depth
from plait.data.rows import Items, Rows
from plait.data.table import Table

SHOWN_PHOTOS = 4


def _fits(kind: pa.DataType) -> bool:
    item = item_type(kind)
    return is_media(kind) or (item is not None and is_media(item))


def _claim(sample: Sample) -> str | None:
    if is_text(sample.type):
        are_sets = read_like_image_sets(sample.values) and sample.most(looks_like_image)
        return "its values read like several paths of images" if are_sets else None
    if not is_list(sample.type):
        return None
    parts = Sample(sample.type, [one for value in sample.values for one in value or ()])
    return "holds lists of images" if parts.most(looks_like_image) else None


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    """The members of a set stand in the order of their keys."""
    place: dict[str, int] = {}
    parts: list[Any] = []
    doubts: dict[str, str] = {}
    hash_once = once(lambda cell: image_key(cell, table, doubts))

    def item_of(cell: Any) -> Found:
        members = []
        for number, part in enumerate(read_image_set(cell, table.media_folder)):
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

    items = column_items(table, modality, item_of, rows)
    items.parts = Items(modality, list(place), parts, np.zeros(0, dtype=np.int64))
    of_parts = {place[key]: doubt for key, doubt in doubts.items() if key in place}
    of_sets = {
        key: next(of_parts[part] for part in members if part in of_parts)
        for key, members in zip(items.keys, items.cells, strict=True)
        if of_parts.keys() & set(members)
    }
    note_doubts(items, of_sets, rows)
    return items


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    assert items.parts is not None
    photos = [items.parts.cells[part] for part in cell]
    shown = [picture(photo, table) for photo in photos[:SHOWN_PHOTOS]]
    more = len(photos) - len(shown)
    return [*shown, {"text": f"and {more} more"}] if more else shown


def _examine(cells: Any, root: Root) -> str:
    keys = []
    for place, cell in enumerate(cells):
        try:
            data = read_media(cell, root)
        except CellError as error:
            raise MissingFileError(f"image {place} of the set: {error}") from error
        try:
            keys.append(examine_image(data, root))
        except CellError as error:
            raise CellError(f"image {place} of the set: {error}") from error
    return content_key(" ".join(sorted(keys)).encode())


def _doubt(cells: Any, root: Root) -> str | None:
    doubts = ((place, doubtful_depth(read_media(cell, root))) for place, cell in enumerate(cells))
    return next((f"image {place} of the set: {doubt}" for place, doubt in doubts if doubt is not None), None)


assert IMAGE.checks is not None
IMAGE_SET = ColumnKind(
    fits=_fits,
    holds="lists of images, or paths between ;",
    read=_read,
    show=_show,
    claim=_claim,
    checks=replace(IMAGE.checks, load=read_image_set, examine=_examine, doubt=_doubt),
    watched="sets of pictures",
    pictures=read_image_set,
    names_files=True,
)
