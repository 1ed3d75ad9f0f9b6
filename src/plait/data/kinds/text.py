"""Columns of text: every value that is not blank is an item."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from plait.data.arrow_types import is_date, is_number, is_text
from plait.data.column_kind import CellChecks, ColumnKind, Keys
from plait.data.items import Found, column_items
from plait.data.media import CellError, content_key
from plait.data.media_folder import Root
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import Table
from plait.data.values import spelling

LONGEST_SHOWN = 600


def text_key(text: str, root: Root = None) -> str:
    """The hash of a text; the same for texts that differ only in spaces, case, Unicode form or invisible characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if not folded.isascii():
        folded = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return content_key(" ".join(folded.split()).encode("utf-8", "surrogatepass"))


def _read(table: Table, modality: Modality, rows: Rows) -> Items:
    return column_items(table, modality, _item_of, rows)


def text_of(cell: Any, root: Root = None) -> str:
    """A cell as text: text as it stands, a number, truth value or date in its one spelling, nothing as "".

    Raises:
        CellError: It is bytes, a list or a dictionary.
    """
    if isinstance(cell, bytes | bytearray | dict | list):
        raise CellError(f"expected text, got {type(cell).__name__}")
    return cell if isinstance(cell, str) else spelling(cell) or ""


def _item_of(cell: Any) -> Found:
    text = text_of(cell)
    if not text.strip():
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text.encode("utf-8", "replace").decode()


def _show(cell: Any, items: Items, table: Table) -> list[dict[str, Any]]:
    return [{"text": text_of(cell)[:LONGEST_SHOWN]}]


def _leak_severity(columns: Mapping[str, Keys]) -> str:
    return "info" if any(map(_is_phrase_list, columns.values())) else "warning"


def _is_phrase_list(keys: Keys) -> bool:
    """Whether most texts come back again and again, as set questions do; then they are no leakage."""
    given = [key for key in keys if key is not None]
    return bool(given) and len(set(given)) <= 0.5 * len(given)


TEXT = ColumnKind(
    fits=lambda kind: is_text(kind) or is_number(kind) or is_date(kind),
    holds="text",
    read=_read,
    show=_show,
    checks=CellChecks(
        ("P033", "empty texts"), "no text column", text_key, text_of, leak=("P042", "same text in two splits"),
        leak_severity=_leak_severity,
    ),
)  # fmt: skip
