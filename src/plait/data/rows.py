"""What a table holds for a model: per modality its unique items, and for every row which item it shows.

Plain holders; how they are filled is :mod:`plait.data.items`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from plait.data.modality import Modality
from plait.data.table import BadRow, Table


class Changes(Protocol):
    """Changed copies of items, which are numbered behind the items themselves."""

    def change_of(self, number: int) -> tuple[int, Callable[[Any], Any]]:
        """The item of a copy's number, and what makes the copy of what was loaded of the item."""


@dataclass
class Items:
    """Unique items of one modality.

    Attributes:
        modality: Which modality.
        keys: sha256 of each item's content.
        cells: The cells as given: a text, an image or sound cell; an array for a vector; the numbers of its parts
            for a set; for the tabular modality a mapping column -> value.
        index_N: Item shown by each row, -1 where it is missing.
        parts: For sets, their unique members; else None.
        changes: Copies of them that training sees beside them; None: there are none.
    """

    modality: Modality
    keys: list[str]
    cells: list[Any]
    index_N: np.ndarray  # noqa: N815
    parts: Items | None = None
    changes: Changes | None = None

    def drop(self, failures: dict[int, str]) -> list[tuple[int, str]]:
        """Mark rows that show a failed item as missing; returns (row, reason) for each."""
        rows = [(int(r), failures[int(i)]) for r, i in enumerate(self.index_N) if int(i) in failures]
        for row, _ in rows:
            self.index_N[row] = -1
        return rows


@dataclass
class Rows:
    """All modalities of a table, row by row.

    Attributes:
        table: The table they came from.
        items: Items per modality name, in model order.
        bad: Cells that could not be read.
        unknown: Cells that could be read and say nothing to the model (categories that training did not have), or may
            not be what was meant (pictures that use few of their bits).
        notes: Counts worth telling (texts that were blank, and so on).
        policy: What was done with rows that hold bad cells: "error", "missing" or "skip"; None before that.
        doubts: Sentences about contents that may not be what was meant, with their rows.
    """

    table: Table
    items: dict[str, Items]
    bad: list[BadRow] = field(default_factory=list)
    unknown: list[BadRow] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    policy: str | None = None
    doubts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def present_NM(self) -> np.ndarray:  # noqa: N802
        """True where a row has the modality, [N, M]."""
        return np.stack([items.index_N >= 0 for items in self.items.values()], axis=1)

    @property
    def index_NM(self) -> np.ndarray:  # noqa: N802
        """Item number of each modality in each row, [N, M]; -1 where missing."""
        return np.stack([items.index_N for items in self.items.values()], axis=1)

    def bad_positions(self) -> set[int]:
        """Positions (0-based in the table) of rows with at least one bad cell."""
        return {b.row for b in self.bad}

    def is_kept(self, bad: BadRow) -> bool:
        """Whether the row of a bad cell is used all the same, the cell counting as missing."""
        read = {column for items in self.items.values() for column in items.modality.columns}
        return self.policy == "missing" and bad.column in read

    def report(self, position: int, column: str | None, reason: str) -> None:
        """Record a bad cell at a position of the table."""
        self.bad.append(BadRow(position, column, reason))

    def set_aside(self, position: int, column: str | None, reason: str) -> None:
        """Record a cell that could be read and says nothing to the model, such as a category it never saw."""
        self.unknown.append(BadRow(position, column, reason))
