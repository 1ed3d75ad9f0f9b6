"""What a reader of files hands to :mod:`plait.data.table`: the rows that parsed, and those that did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from plait.data.values import ColumnReading


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        row: Its 0-based position in the table as the user gave it (in text files the header is not counted).
        column: The column at fault, or None when the whole row is.
        reason: Why, in words.
    """

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True)
class TextReading:
    """How the text of a delimited file is cut into fields and read.

    Attributes:
        delimiter: One character between fields; None finds it in the first rows.
        decimal: Decimal mark, "." or ",", of columns whose cells leave it open.
        readings: By column, how the training table read it.
        text: Columns that stay text, spelled as in the file.
        categorical: Columns that stay text where numbers would lose a spelling (``1.10``).
        usual: The delimiter of the training table, taken where it cuts the header and ``delimiter`` is None.
    """

    delimiter: str | None = None
    decimal: str | None = None
    readings: Mapping[str, ColumnReading] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    usual: str | None = None


@dataclass(frozen=True)
class Parsed:
    """A file as read.

    Attributes:
        arrow: The rows that parsed.
        bad_rows: The rows that did not.
        row_numbers: For each parsed row its number in the file; None when every row parsed.
        readings: By column, how its text was read; empty for files that hold types of their own.
    """

    arrow: pa.Table
    bad_rows: tuple[BadRow, ...] = ()
    row_numbers: tuple[int, ...] | None = None
    readings: Mapping[str, ColumnReading] = field(default_factory=dict)
