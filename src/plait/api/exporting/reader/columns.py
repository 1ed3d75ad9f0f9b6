"""Numbers, categories and dates of a row, read and standardised as in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.processors.tabular import TabularProcessor

Read = tuple[dict[str, np.ndarray], np.ndarray, list[tuple[int, str]]]


def reader(facts: dict[str, Any], model: Any) -> ColumnReader:
    """The reader of a modality that ``plait.json`` describes."""
    return ColumnReader(facts)


class ColumnReader:
    """Reads the columns of the one modality of plain values.

    Args:
        facts: Of the modality.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self.columns = facts["columns"]
        self.processor = TabularProcessor.from_json(facts["processor"])

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the columns, which rows have any of them, and the cells that count as missing all the same."""
        known = {name: [row.get(name) for row in rows] for name in self.columns}
        arrays = self.processor.arrays(known)
        there_B = np.array([not all(_is_blank(row.get(name)) for name in self.columns) for row in rows], dtype=bool)
        there_B[self.processor.blank] = False
        return arrays, there_B, [(fault.row, f"{fault.column}: {fault.reason}") for fault in self.processor.faults]


def _is_blank(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))
