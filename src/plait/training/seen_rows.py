"""Which rows a finished model has seen: one 64-bit hash of its inputs for each row that trained it or chose its epoch.

By these a row is known again in any table, whatever its order. Hashes are of contents (bytes of a picture, letters of a
text, values of columns), not of cells or paths. They say nothing where many rows have the same inputs, as a few
categories do: how likely a new row repeats one by chance is estimated by how many rows have a twin (Good and Turing).

Reference: Good 1953 (the population frequencies of species and the estimation of population parameters), equation 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from plait.data.rows import Items, Rows

FILE = "seen_rows.safetensors"
MOST_KEPT = 500_000  # hashes, 4 MB; of more rows the smallest hashes are kept, which are a sample
MOST_CHANCE = 0.05  # probability that a new row has the inputs of a seen one, above which equal inputs prove nothing


@dataclass(frozen=True)
class SeenInputs:
    """Hashes of the rows that trained a model or chose its epoch.

    Attributes:
        hashes: Sorted, one a row, so that rows of equal inputs come more than once; uint64 [K].
        rows: How many rows there were; more than K where only the smallest hashes are kept.
    """

    hashes: np.ndarray
    rows: int

    @classmethod
    def of(cls, rows: Rows, positions: np.ndarray) -> SeenInputs:
        """Of the rows at these positions."""
        found, known = row_hashes(rows)
        return cls.of_hashes(found[positions][known[positions]])

    @classmethod
    def of_hashes(cls, hashes: np.ndarray) -> SeenInputs:
        """Of rows whose hashes are known."""
        return cls(np.sort(hashes)[:MOST_KEPT], len(hashes))

    @property
    def is_whole(self) -> bool:
        """Whether every row that was seen has its hash here."""
        return len(self.hashes) == self.rows

    @property
    def chance(self) -> float:
        """Probability, 0 to 1, that a new row of the same source repeats the inputs of a seen one."""
        count = np.unique(self.hashes, return_counts=True)[1]
        return 1.0 - float((count == 1).sum()) / max(1, len(self.hashes))

    @property
    def tells(self) -> bool:
        """Whether equal inputs prove that a row was seen."""
        return len(self.hashes) > 0 and self.chance <= MOST_CHANCE

    def found_in(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Which rows have the inputs of a seen one, and of which that can be told; bool [N] each."""
        found, known = row_hashes(rows)
        if not self.is_whole:
            known &= found <= self.hashes[-1]
        return known & np.isin(found, self.hashes), known

    def are_all_in(self, rows: Rows) -> bool:
        """Whether the rows hold every seen one, twins as often."""
        found, known = row_hashes(rows)
        own, count = np.unique(self.hashes, return_counts=True)
        theirs, times = np.unique(found[known], return_counts=True)
        place = np.minimum(np.searchsorted(theirs, own), max(0, len(theirs) - 1))
        return len(theirs) > 0 and bool(((theirs[place] == own) & (times[place] >= count)).all())

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        save_file({"hashes": self.hashes, "rows": np.array([self.rows], dtype=np.int64)}, path)

    @classmethod
    def load(cls, path: Path) -> SeenInputs:
        """Read what ``save`` wrote.

        Raises:
            ValueError: It is no such file.
        """
        try:
            parts = load_file(path)
            hashes, rows = parts["hashes"], int(parts["rows"].reshape(-1)[0])
        except (SafetensorError, KeyError, IndexError, TypeError) as error:
            raise ValueError(f"it holds no hashes of rows: {error}") from error
        if hashes.dtype != np.uint64 or hashes.ndim != 1 or len(hashes) > rows or (hashes[1:] < hashes[:-1]).any():
            raise ValueError("it holds no sorted hashes of rows")
        return cls(hashes, rows)


def row_hashes(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """A hash of each row's inputs, uint64 [N], and whether there is anything in the row, bool [N]."""
    contents = [(name.encode(), item_contents(items), items.index_N.tolist()) for name, items in rows.items.items()]
    found, known = np.zeros(len(rows), dtype=np.uint64), np.zeros(len(rows), dtype=bool)
    for row in range(len(rows)):
        digest = hashlib.blake2b(digest_size=8)
        for name, keys, index in contents:
            if index[row] >= 0:
                known[row] = True
                digest.update(name + b"\0" + keys[index[row]] + b"\0")
        found[row] = int.from_bytes(digest.digest(), "big")
    return found, known


def item_contents(items: Items) -> Sequence[bytes]:
    """The content of each item; numbers of columns alike whether they were read as whole ones or not."""
    return [
        repr(sorted((name, _plain(value)) for name, value in cell.items())).encode("utf-8", "surrogatepass")
        if isinstance(cell, dict)
        else key.encode()
        for key, cell in zip(items.keys, items.cells, strict=True)
    ]


def _plain(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if is_whole else value
