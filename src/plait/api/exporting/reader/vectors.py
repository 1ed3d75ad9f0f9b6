"""Columns of ready vectors, or of sequences of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.data.cell_error import CellError
from plait.data.vectors import read_vector
from plait.processors.vector import VectorProcessor

Read = tuple[dict[str, np.ndarray], np.ndarray, list[tuple[int, str]]]


def reader(facts: dict[str, Any], model: Any) -> VectorReader:
    """The reader of a modality that ``plait.json`` describes."""
    return VectorReader(facts, model)


class VectorReader:
    """Reads one column of vectors: lists, arrays, JSON texts or paths of numpy files.

    Args:
        facts: Of the modality.
        model: Whose ``root`` relative paths count from.
    """

    def __init__(self, facts: dict[str, Any], model: Any) -> None:
        self.column, self.model = facts["columns"][0], model
        self.processor = VectorProcessor.from_json(facts["processor"])

    def read(self, rows: Sequence[Any]) -> Read:
        """Arrays of the column, where it is there, and what could not be read."""
        vectors: list[Any] = [None] * len(rows)
        problems = []
        for i, row in enumerate(rows):
            try:
                vector = read_vector(row.get(self.column), self.model.root)
                if vector is not None and vector.shape[-1] != self.processor.width:
                    raise CellError(f"the vector has {vector.shape[-1]} numbers; expected {self.processor.width}")
            except CellError as error:
                problems.append((i, f"{self.column}: {error}"))
                continue
            vectors[i] = vector
        return self.processor.arrays(vectors), np.array([v is not None for v in vectors], dtype=bool), problems
