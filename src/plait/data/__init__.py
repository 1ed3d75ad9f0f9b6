"""Data: tables, the cells in them, what their columns mean, how rows are split, and whether all is sound.

Import from the files of this room; the names here are the few that most callers need. Nothing here imports
torch.
"""

from __future__ import annotations

from plait.data.column_kind import CellChecks, ColumnKind, Sample
from plait.data.kinds import COLUMN_KINDS
from plait.data.media import CellError, read_media
from plait.data.picture import check_image
from plait.data.readers.parsed import BadRow
from plait.data.table import Table, read_table

__all__ = [
    "COLUMN_KINDS",
    "BadRow",
    "CellChecks",
    "CellError",
    "ColumnKind",
    "Sample",
    "Table",
    "check_image",
    "read_media",
    "read_table",
]
