"""Columns of text that are numbers but for a few cells, and what those few hold.

One ``?`` among a thousand numbers makes a column of text of them. In: the cells of such a column. Out: how it is read
as numbers all the same, which spellings in it stand for "missing", and which cells are neither. Nine cells in ten must
be numbers: below that the others are likely a meaning of their own (``3+``, ``unknown size``) and not a slip.
Texts with leading zeros or the plus sign of phone numbers are codes and no numbers, as for the readers of files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plait.data.read_cells import LEAST_READABLE, ReadCells
from plait.data.values import MISSING_WORDS, are_signed, decimal_mark, is_missing_number, read_number

MISSING_MARKS = frozenset(
    {
        "?", "??", "???", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "*", "#n/a", "#na", "n.a.", "n.a",
        "<na>", "nat", "nil", "\\n", "(null)", "missing", "unknown", "not available", "not applicable", "-nan", "n / a",
        "\u65e0", "\u7f3a\u5931", "\u672a\u77e5",
    }
)  # fmt: skip
CODE = re.compile(r"\+[0-9][0-9 ().,-]*|-?0[0-9][0-9., ]*|-?[0-9]{19,}")
_CURRENCY = r"[$\u00a2-\u00a5\u20a0-\u20c0\uffe5]"
_BEFORE = rf"(?:[A-Z]{{0,3}}{_CURRENCY}|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD)?"
_AFTER = rf"(?:%|\u2030|{_CURRENCY}|\u5143|\u5186|[^\W\d_]|[\u00b0\u00b2\u00b3/])*"
_NUMBER_AND_UNIT = re.compile(
    rf"(?P<sign>[+-]?)(?P<before>{_BEFORE})\s*(?P<number>[+-]?\d[\d.,' \u00a0\u202f]*|[+-]?[.,]\d+)(?P<after>{_AFTER})"
)


@dataclass(frozen=True)
class NumberCells(ReadCells):
    """A column of text read as numbers.

    Attributes:
        mark: The decimal mark; None where the cells contradict each other or leave it open.
    """

    mark: str | None


def number_cells(
    cells: Sequence[Any], decimal: str | None = None, row_number: Callable[[int], int] = int
) -> NumberCells:
    """Read the cells of a column of text as numbers.

    Args:
        cells: The cells, text or None.
        decimal: The decimal mark where the cells leave it open.
        row_number: From a position to the number of its row, for the reason.

    Example:
        >>> number_cells([*map(str, range(20)), "?", "abc"])
        NumberCells(reason=None, filled=21, odd=(21,), missing=('?',), marked=(20,), mark='.')
    """
    found = decimal_mark(cells, row_number)
    marked = tuple(i for i in found.unreadable if _word(cells[i]) in MISSING_MARKS)
    odd = tuple(i for i in found.unreadable if _word(cells[i]) not in MISSING_MARKS)
    empty = sum(is_missing_number(cell) for cell in cells)
    mark = found.mark
    if mark is None and decimal is not None:
        mark = decimal
        left = set(found.unreadable)
        odd = tuple(
            i
            for i, c in enumerate(cells)
            if i not in marked and not is_missing_number(c) and (i in left or read_number(c, mark) is None)
        )
    return NumberCells(
        None if mark is not None else found.reason,
        len(cells) - empty - len(marked),
        odd,
        tuple(sorted({_word(cells[i]) for i in marked})),
        marked,
        mark=mark,
    )


def has_codes(cells: Sequence[Any]) -> bool:
    """Whether some cells are digits that are no number: leading zeros, the plus of a phone number, beyond 64 bits."""
    codes = [cell for cell in cells if isinstance(cell, str) and CODE.fullmatch(cell.strip()) is not None]
    return bool(codes) and not (all(cell.strip()[0] == "+" for cell in codes) and are_signed(cells))


def common_unit(cells: Sequence[Any]) -> str | None:
    """What stands beside the number in nearly all cells, such as ``kg``, ``%`` or ``$``; None where nothing does.

    Example:
        >>> common_unit(["12 kg", "7.5 kg"]), common_unit(["$3", "$4.50"]), common_unit(["A1", "B2"])
        ('kg', '$', None)
    """
    filled = [cell.strip() for cell in cells if isinstance(cell, str) and not is_missing_number(cell, MISSING_MARKS)]
    units: Counter[str] = Counter()
    for cell in filled:
        found = _NUMBER_AND_UNIT.fullmatch(cell)
        if found is not None and bool(found["before"]) != bool(found["after"]):
            units[found["before"] or found["after"]] += 1
    if not units:
        return None
    unit, count = units.most_common(1)[0]
    is_unit = len(unit) <= 8 and not any(c.isdigit() for c in unit) and unit.lower() not in MISSING_WORDS
    return unit if is_unit and count >= LEAST_READABLE * len(filled) else None


def _word(cell: Any) -> str:
    return str(cell).strip().lower()
