"""A column of text of which the cells come some at a time: what all of them say of its type, then each part typed.

It is read as :mod:`plait.data.readers.column_types` reads a column as a whole. What that decides by looking at all
cells is kept here as a few truth values, which each part of the cells narrows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from plait.data.read_again import WHOLE
from plait.data.readers.column_types import (
    BEYOND,
    NUMBER,
    read_as_held,
    text_array,
    warn_of_grouped_example,
    warn_of_one_number,
)
from plait.data.values import DECIMAL_MARKS, MISSING_WORDS, ColumnReading, is_missing_number, read_number, truth_word

_MANY = 21  # different cells: more than could be names, of which nothing is warned


class NeedsTheWholeError(Exception):
    """The type of a column hangs on all of its cells together, which cannot be told part by part."""


class ScannedColumn:
    """One column.

    Args:
        name: Its name.
        known: How the training table read it; None: it was not there.
    """

    def __init__(self, name: str, known: ColumnReading | None) -> None:
        self.name, self.known = name, known
        self.is_whole = self.is_number = self.is_truth = True
        self.has_values = self.has_cells = self.has_word = False
        self.distinct: set[str] = set()
        self.grouped: str | None = None
        self.is_grouped = known is not None and known.held == "whole"

    def count(self, cells: Sequence[str]) -> None:
        """Take account of further cells."""
        if self.known is None:
            self._count_new(cells)
        elif self.known.held == "truth":
            self.is_truth = self.is_truth and all(map(truth_word, (cell for cell in cells if cell != "")))
        elif self.known.held in ("whole", "number"):
            values = [cell.strip() for cell in cells if not is_missing_number(cell)]
            self.is_whole = self.is_whole and all(map(WHOLE.fullmatch, values))
            mark = self.known.mark
            self.is_number = self.is_number and all(read_number(value, mark) is not None for value in values)
            self._look_for_groups(cells, mark)

    def _count_new(self, cells: Sequence[str]) -> None:
        filled = [cell for cell in cells if cell != ""]
        values = [bare for cell in filled if (bare := cell.strip()).lower() not in MISSING_WORDS]
        self.has_values, self.has_cells = self.has_values or bool(values), self.has_cells or bool(filled)
        self.is_whole = self.is_whole and all(map(WHOLE.fullmatch, values))
        self.is_number = self.is_number and all(NUMBER.fullmatch(v) and not BEYOND.fullmatch(v) for v in values)
        self.is_truth = self.is_truth and all(map(truth_word, filled))
        if not self.has_word:
            self.has_word = any(all(read_number(v, mark) is None for mark in DECIMAL_MARKS) for v in values)
        if self.is_number and len(self.distinct) < _MANY:
            self.distinct.update(cell.strip() for cell in cells)

    def _look_for_groups(self, cells: Sequence[str], mark: str) -> None:
        if not self.is_grouped:
            return
        marked = [cell.strip() for cell in cells if mark in cell]
        self.grouped = self.grouped or next(iter(marked), None)
        pattern = rf"-?[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}"
        self.is_grouped = all(re.fullmatch(pattern, cell) for cell in marked)

    def reading(self) -> ColumnReading:
        """How it is read, when all cells are counted.

        Raises:
            NeedsTheWholeError: It may hold numbers that are grouped or have a decimal comma.
        """
        if self.known is not None:
            return self.known
        if self.has_values and self.is_whole:
            return ColumnReading("whole")
        if self.has_values and self.is_number:
            return ColumnReading("number")
        if self.has_cells and self.is_truth:
            return ColumnReading("truth")
        if self.has_values and not self.has_word:
            raise NeedsTheWholeError(self.name)
        return ColumnReading("text")

    def warn(self) -> None:
        """Warn of what a column as a whole is warned of, when all cells are counted."""
        if self.known is not None and self.is_grouped and self.grouped is not None:
            warn_of_grouped_example(self.name, self.grouped, self.known.mark)
        if self.known is None and self.reading().held == "number":
            warn_of_one_number(self.name, self.distinct)

    def typed(self, cells: Sequence[str]) -> pa.Array:
        """Some of the cells, as the column holds them."""
        held = self.reading().held
        if held == "truth" and self.is_truth:
            return read_as_held(cells, "truth")
        if held == "whole" and self.is_whole:
            return read_as_held(cells, "whole")
        if held in ("whole", "number") and self.is_number:
            return read_as_held(cells, "number", self.reading().mark if self.known is not None else None)
        return text_array(cells)
