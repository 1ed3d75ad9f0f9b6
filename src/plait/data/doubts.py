"""What a column of text as a whole says of how its cells are read, beside what the training table said.

Numbers of the other decimal mark leave numbers in doubt that could be of either (``1,234`` beside ``7,5``), dates in
the other order of day and month those that could be either (``04/07/2024`` beside ``07/15/2024``): unless they are
slips, one in ten at most of those that leave no doubt. A cell in doubt becomes one that cannot be read and says why.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plait.data.moments import date_order_of
from plait.data.read_cells import LEAST_READABLE
from plait.data.values import DATE_ORDERS, DECIMAL_MARKS, read_number
from plait.registry import counted

_IN_WORDS = {"dmy": "day first", "mdy": "month first"}


@dataclass
class OtherMark:
    """What the cells of a text column show of the decimal mark that the model was not trained on.

    Attributes:
        name: The column.
        mark: The model's mark.
        number: Cells that read as numbers with the other mark in them.
        certain: Those among them that do under the other one only.
        own: Cells that do under the model's only.
        example: The first certain one.
    """

    name: str
    mark: str
    number: int = 0
    certain: int = 0
    own: int = 0
    example: str = ""

    @property
    def other(self) -> str:
        """The other mark."""
        return next(m for m in DECIMAL_MARKS if m != self.mark)

    @property
    def is_doubtful(self) -> bool:
        """Whether cells that may be of either mark are in doubt: it is more than slips in a column of the model's."""
        return self.certain > 0 and self.own < LEAST_READABLE * (self.own + self.certain)

    def count(self, cells: Sequence[object]) -> None:
        """Take account of further cells."""
        mark, other = self.mark, self.other
        for cell in cells:
            if not isinstance(cell, str):
                continue
            here, there = read_number(cell, mark) is not None, read_number(cell, other) is not None
            self.own += here and not there
            if other in cell and there:
                self.number += 1
                self.certain += not here
                self.example = self.example or ("" if here else cell.strip())

    def warn(self) -> None:
        """Warn if there were certain ones."""
        if self.certain:
            what = {",": "commas", ".": "points"}[self.other]
            looks = "looks" if self.number == 1 else "look"
            warnings.warn(
                f"{counted(self.number, 'cell')} of column {self.name!r} {looks} like numbers with decimal {what} "
                f"({self.example!r}), and the model was trained on the other mark; type decimal={self.other!r}",
                UserWarning,
                stacklevel=4,
            )

    def doubted(self, cells: Sequence[object]) -> list[object]:
        """Cells, of which those that may be either number say both, and so are none; the others as they are."""
        return [self._doubted(cell) for cell in cells]

    def _doubted(self, cell: object) -> object:
        mark, other = self.mark, self.other
        if not isinstance(cell, str) or other not in cell:
            return cell
        here, there = read_number(cell, mark), read_number(cell, other)
        if here is None or there is None or here == there:
            return cell
        return f"{cell.strip()} ({here:.15g} or {there:.15g}?)"


@dataclass
class TurnedDates:
    """What the cells of a text column show of the order of day and month that the model was not trained on.

    Attributes:
        name: The column.
        order: The order of training.
        certain: Cells that are dates in the other order only.
        own: Cells that are dates in the order of training only.
        open_cells: Cells that could be either.
        first: Row number and text of the first certain one.
    """

    name: str
    order: str
    certain: int = 0
    own: int = 0
    open_cells: int = 0
    first: tuple[int, str] = (0, "")

    @property
    def is_doubtful(self) -> bool:
        """Whether cells that could be either are in doubt: it is more than slips, which are bad cells."""
        return self.certain > 0 and self.own < LEAST_READABLE * (self.own + self.certain)

    def count(self, cells: Sequence[Any], row_number: Callable[[int], int] = int) -> None:
        """Take account of further cells; ``row_number`` says the number of the row at a position."""
        asked = [date_order_of(cell) for cell in cells]
        other = self._other
        if not self.certain and other in asked:
            place = asked.index(other)
            self.first = row_number(place), cells[place].strip()
        self.certain += asked.count(other)
        self.own += asked.count(self.order)
        self.open_cells += asked.count("open")

    @property
    def _other(self) -> str:
        return next(o for o in DATE_ORDERS if o != self.order)

    def warn(self) -> None:
        """Warn if cells are in doubt."""
        if self.is_doubtful:
            row, cell = self.first
            warnings.warn(
                f"row {row} of column {self.name!r} holds {cell!r}, {_IN_WORDS[self._other]}, and "
                f"the model was trained on dates with the {_IN_WORDS[self.order]}; so "
                f"{counted(self.open_cells, 'cell')} that could be either "
                f"{'counts' if self.open_cells == 1 else 'count'} as unreadable. Write all of them as 2024-03-05",
                UserWarning,
                stacklevel=5,
            )

    def doubted(self, cells: Sequence[Any]) -> list[Any] | None:
        """Cells, of which those that could be either say so, and so are no dates; None where there are none of them."""
        asked = [date_order_of(cell) for cell in cells]
        if "open" not in asked:
            return None
        both = f"({_IN_WORDS['dmy']} or {_IN_WORDS['mdy']}?)"
        return [f"{cell.strip()} {both}" if asks == "open" else cell for cell, asks in zip(cells, asked, strict=True)]
