"""Columns of text: every value that is not blank is an item."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from plait.data.arrow_types import is_text
from plait.data.column_kind import CellChecks, ColumnKind, Keys
from plait.data.items import Found, column_items
from plait.data.media import CellError, content_key
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import Table

LONGEST_SHOWN = 600


def text_key(text: str, root: Root = None) -> str:
    """The hash of a text; the same for texts that differ only in spaces, case or Unicode form."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return content_key(" ".join(folded.split()).encode("utf-8", "surrogatepass"))


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    return column_items(table, modality, _item_of, rows)


def _item_of(cell: Any) -> Found:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bytes | bytearray | dict | list):
        raise CellError(f"expected text, got {type(cell).__name__}")
    text = str(cell)
    if not text.strip():
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text.encode("utf-8", "replace").decode()


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"text": str(cell)[:LONGEST_SHOWN]}]


def _leak_severity(columns: Mapping[str, Keys]) -> str:
    return "info" if any(map(_is_phrase_list, columns.values())) else "warning"


def _is_phrase_list(keys: Keys) -> bool:
    """Whether most texts come back again and again, as set questions do; then they are no leakage."""
    given = [key for key in keys if key is not None]
    return bool(given) and len(set(given)) <= 0.5 * len(given)


TEXT = ColumnKind(
    fits=is_text,
    holds="text",
    read=_read,
    show=_show,
    checks=CellChecks(
        ("P033", "empty texts"), "no text column", text_key, leak=("P042", "same text in two splits"),
        leak_severity=_leak_severity,
    ),
)  # fmt: skip
