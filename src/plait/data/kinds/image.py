"""Columns of images, one in a cell. Files are read here for their hash, and decoded only when an item is encoded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from plait.data.arrow_types import is_media, is_text, item_type, list_depth
from plait.data.column_kind import CellChecks, ColumnKind, Sample
from plait.data.imageset import read_like_image_sets
from plait.data.items import media_items, note_doubts
from plait.data.media import IMAGE_SUFFIXES, content_key, looks_like_image, read_media
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.picture import check_image, decode_image, doubtful_depth
from plait.data.rows import Items, Rows
from plait.data.table import Table
from plait.report.thumbnail import SIDE, thumbnail


def picture(cell: Any, table: Table) -> dict[str, Any]:
    """A small JPEG of an image cell in base64, as a report takes it; None in it when it cannot be read."""
    try:
        return {"image_jpeg_base64": thumbnail(decode_image(read_media(cell, table.media_folder), least_side=SIDE))}
    except ValueError:
        return {"image_jpeg_base64": None}


def examine_image(data: Any, root: Root) -> str:
    """The hash of an image that decodes.

    Raises:
        CellError: It does not.
    """
    check_image(data)
    return content_key(data)


def image_key(cell: Any, table: Table, doubts: dict[str, str]) -> str:
    """The hash of an image cell; what may be wrong with the picture is put into the doubts, by the hash.

    Raises:
        CellError: It cannot be read.
    """
    data = read_media(cell, table.media_folder)
    key = content_key(data)
    if (doubt := doubtful_depth(data)) is not None:
        doubts[key] = doubt
    return key


def _claim(sample: Sample) -> str | None:
    if list_depth(sample.type) == 2 and item_type(item_type(sample.type)) in (pa.uint8(), pa.uint16()):
        return "holds grey pixels [H, W]"
    if read_like_image_sets(sample.values) or not sample.most(looks_like_image):  # a set of one reads like one image
        return None
    return "its values read like paths or data of images" if is_text(sample.type) else "holds images"


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    doubts: dict[str, str] = {}
    items = media_items(table, modality, lambda cell: image_key(cell, table, doubts), rows)
    note_doubts(items, doubts, rows)
    return items


IMAGE = ColumnKind(
    fits=lambda kind: is_media(kind) or list_depth(kind) in (2, 3),
    holds="paths, bytes, base64 text or pixels",
    read=_read,
    show=lambda cell, items, table: [picture(cell, table)],
    claim=_claim,
    checks=CellChecks(
        ("P032", "rows without an image"), "no column of images", examine_image, read_media,
        broken=("P031", "broken images", "every image decodes"), in_files=True,
        doubt=lambda data, root: doubtful_depth(data),
        doubtful=("P039", "16-bit images that use few bits", "every image uses the bits that it has"),
        leak=("P041", "same image in two splits"),
    ),
    watched="pictures",
    pictures=lambda cell, root: [cell],
    suffixes=IMAGE_SUFFIXES,
    names_files=True,
)  # fmt: skip
