"""What the cells of a column of text turn out to be when they are read as numbers or as dates."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_READABLE = 0.9  # share of the filled cells that read as what the column is taken for


@dataclass(frozen=True)
class ReadCells:
    """A column read as one kind.

    Attributes:
        reason: Why it cannot be of that kind, though its cells look like it; None where it can.
        filled: How many cells are not missing.
        odd: Positions of the cells that are neither of that kind nor missing.
        missing: Spellings that stand for a missing value here, beside the words that always do, in lower case.
        marked: Positions of the cells that hold one of these.
    """

    reason: str | None
    filled: int
    odd: tuple[int, ...]
    missing: tuple[str, ...]
    marked: tuple[int, ...]

    @property
    def is_nearly(self) -> bool:
        """Whether nearly all cells read as that kind."""
        return self.filled > len(self.odd) and len(self.odd) <= (1 - LEAST_READABLE) * self.filled + 1e-9
