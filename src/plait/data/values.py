"""One reading of values for the whole house: text to numbers, and the one spelling of truth values.

In: cells of a column as text. Out: numbers, or which cell cannot be read and why. A number may have a decimal point or
a decimal comma and digits grouped in threes; which of the two marks is the decimal one is decided for a column as a
whole, from cells that leave no doubt (``522,50``, ``1,234.5``, ``1.234.567``). A column that holds both, or nothing but
cells such as ``1,234`` that could mean either, is not read as numbers, and the rows that say so are named.

Percentages, currencies, underscores between digits and words are no numbers. Nothing here reads a file.
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

DECIMAL_MARKS = (".", ",")
HELD = ("text", "whole", "number", "truth", "date")
DATE_ORDERS = ("dmy", "mdy")
MISSING_WORDS = frozenset({"nan", "na", "n/a", "null", "none"})
TRUE, FALSE = "true", "false"

_UNSEEN = dict.fromkeys((0x200B, 0x2060, 0xFEFF))
_SPACES = " \u00a0\u2007\u2009\u202f"
_APOSTROPHES = "'\u2019"
_EXPONENT = r"(?:[eE][+-]?[0-9]{1,4})?"
_GROUPED = {
    mark: re.compile(
        rf"[1-9][0-9]{{0,2}}(?:(?P<g>[{re.escape(other)}{_SPACES}{_APOSTROPHES}])[0-9]{{3}})(?:(?P=g)[0-9]{{3}})*"
        rf"(?:{re.escape(mark)}[0-9]*)?{_EXPONENT}"
    )
    for mark, other in (DECIMAL_MARKS, DECIMAL_MARKS[::-1])
}
_SHORT_PLUS = re.compile(r"\+(?:0|[1-9][0-9]{0,2})?(?:[.,][0-9]+)?")
_PLUS_OF_CODE = re.compile(rf"\+(?:0[0-9]|.*[{_SPACES}])")
_PLAIN = {
    mark: re.compile(rf"(?:[0-9]+(?:{re.escape(mark)}[0-9]*)?|{re.escape(mark)}[0-9]+){_EXPONENT}")
    for mark in DECIMAL_MARKS
}


@dataclass(frozen=True)
class ColumnReading:
    """How the text of a column is read: what its cells became in the training table, handed to every later one.

    Attributes:
        held: "text", "whole", "number", "truth" or "date".
        mark: The decimal mark of numbers, "." or ",".
        missing: Spellings that stand for a missing value in this column, such as ``?``, beside those that always do.
        order: Of dates such as 05/03/2024: "dmy", "mdy", or "" where none of them leaves it open.
        zone: Time zone of dates: a name, an offset such as ``+02:00``, or "" where they have none.
    """

    held: str
    mark: str = "."
    missing: tuple[str, ...] = ()
    order: str = ""
    zone: str = ""


@dataclass(frozen=True)
class DecimalMark:
    """The decimal mark of a column, or why it has none.

    Attributes:
        mark: "." or ","; None where the cells contradict each other or leave it open.
        reason: Why there is none, with the cells that say so; None where there is one.
        unreadable: Positions of cells that are no numbers under either mark.
    """

    mark: str | None
    reason: str | None
    unreadable: tuple[int, ...]


def read_number(cell: object, mark: str = ".") -> float | None:
    """A cell as a finite number, or None where it is none.

    Args:
        cell: A number, or text. Truth values are no numbers.
        mark: The decimal mark of the column; the other one may group digits in threes, as may spaces and apostrophes.

    Example:
        >>> read_number("1,234.5"), read_number("522,50"), read_number("522,50", ","), read_number("1_000")
        (1234.5, None, 522.5, None)
    """
    if cell is None or isinstance(cell, bool | np.bool_):
        return None
    if not isinstance(cell, str):
        try:
            value = float(cell)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        return value if math.isfinite(value) else None
    text = _western(cell.strip())
    sign = -1.0 if text[:1] == "-" else 1.0
    text = text[1:] if text[:1] in ("-", "+") else text
    grouped = _GROUPED[mark].fullmatch(text)
    if grouped is not None:
        text = text.replace(grouped["g"], "")
    elif _PLAIN[mark].fullmatch(text) is None:
        return None
    value = sign * float(text.replace(mark, "."))
    return value if math.isfinite(value) else None


def are_signed(cells: Iterable[object]) -> bool:
    """Whether the plus signs of a column are those of numbers (changes, balances) and not of phone numbers.

    They are where other cells are negative numbers, or where all are as short as ``+0.5`` and some have a decimal mark.

    Example:
        >>> are_signed(["+5", "-3"]), are_signed(["+0.5", "1"]), are_signed(["+49", "+1"]), are_signed(["+49 30", "-3"])
        (True, True, False, False)
    """
    texts = [text for cell in cells if isinstance(cell, str) and (text := _western(cell.strip()))]
    plus = [text for text in texts if text[0] == "+"]
    if not plus or any(_PLUS_OF_CODE.match(text) or not _is_number(text) for text in plus):
        return False
    if any(text[0] == "-" and _is_number(text) for text in texts):
        return True
    return all(map(_SHORT_PLUS.fullmatch, plus)) and any("." in text or "," in text for text in plus)


def _is_number(text: str) -> bool:
    return any(read_number(text, mark) is not None for mark in DECIMAL_MARKS)


def is_missing_number(cell: object, marks: Collection[str] = ()) -> bool:
    """Whether a cell of a column of numbers or dates is empty: None, NaN, blank text, or a word such as ``n/a``.

    Args:
        cell: The cell.
        marks: Further spellings that stand for a missing value, in lower case (:attr:`ColumnReading.missing`).
    """
    if cell is None or (isinstance(cell, float | np.floating) and math.isnan(cell)):
        return True
    if not isinstance(cell, str):
        return False
    word = cell.strip().lower()
    return not word or word in MISSING_WORDS or word in marks


def decimal_mark(cells: Iterable[object], row_number: Callable[[int], int] = int) -> DecimalMark:
    """Which decimal mark the cells of a column use, told by those that leave no doubt.

    Cells that are numbers already, or empty, say nothing. Where no cell leaves no doubt, a point is the decimal mark;
    cells such as ``1,234`` then stay open. ``row_number`` says the number of the row at a position, for the reason.

    Example:
        >>> [decimal_mark(cells).mark for cells in (["522,50", "1.234"], ["1,234", "7.5"], ["1,234", "999"])]
        [',', '.', None]
    """
    certain: dict[str, tuple[int, str]] = {}
    open_cell: tuple[int, str] | None = None
    unreadable: list[int] = []
    for place, cell in enumerate(cells):
        if not isinstance(cell, str) or is_missing_number(cell):
            continue
        point, comma = (read_number(cell, mark) for mark in DECIMAL_MARKS)
        if point is None and comma is None:
            unreadable.append(place)
        elif comma is None:
            certain.setdefault(".", (row_number(place), cell))
        elif point is None:
            certain.setdefault(",", (row_number(place), cell))
        elif point != comma and "," in cell:
            open_cell = open_cell or (row_number(place), cell)
        elif point != comma:
            certain.setdefault("likely .", (row_number(place), cell))
    odd = tuple(unreadable)
    if "." in certain and "," in certain:
        return DecimalMark(None, _both(certain["."], certain[","]), odd)
    if "," in certain:
        return DecimalMark(",", None, odd)
    if "." in certain or open_cell is None:
        return DecimalMark(".", None, odd)
    if "likely ." in certain:
        return DecimalMark(None, _both(certain["likely ."], open_cell), odd)
    place, cell = open_cell
    plain = cell.strip().replace(",", "")
    return DecimalMark(
        None,
        f"row {place} holds {cell.strip()!r}, which is {plain} or {cell.strip().replace(',', '.')}; say which with "
        "decimal='.' or decimal=','",
        odd,
    )


def truth_word(cell: object) -> str | None:
    """The one spelling of a truth value, "true" or "false", whatever its type and case; None for anything else.

    Example:
        >>> truth_word(True), truth_word("FALSE"), truth_word("yes")
        ('true', 'false', None)
    """
    if isinstance(cell, bool | np.bool_):
        return TRUE if cell else FALSE
    if isinstance(cell, str) and (word := cell.strip().lower()) in (TRUE, FALSE):
        return word
    return None


def spelling(cell: object) -> str | None:
    """The one spelling of a category, class or label; None where the cell is empty.

    3, 3.0 and "3" are one; so are True, "TRUE" and "true", and a date and its midnight; letters are composed (NFC), and
    marks that no eye sees (zero width space, word joiner, byte order mark) and blanks around are left out.

    Example:
        >>> spelling(3.0), spelling(True), spelling(" red\u200b "), spelling(float("nan"))
        ('3', 'true', 'red', None)
    """
    if cell is None:
        return None
    if isinstance(cell, bool | np.bool_):
        return TRUE if cell else FALSE
    if isinstance(cell, float | np.floating):
        value = float(cell)
        if math.isnan(value):
            return None
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    text = date_text(cell) if isinstance(cell, datetime.date) else str(cell)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_UNSEEN))
    return truth_word(text) or text.strip() or None


def date_text(cell: datetime.date) -> str:
    """A date as text, without a time where it is midnight.

    Example:
        >>> date_text(datetime.datetime(2024, 3, 5)), date_text(datetime.datetime(2024, 3, 5, 14, 30))
        ('2024-03-05', '2024-03-05 14:30:00')
    """
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time() and cell.tzinfo is None:
        cell = cell.date()
    return str(cell)


def is_unicode(text: str) -> bool:
    r"""Whether text can be written as UTF-8: it holds no half of a character (a lone surrogate).

    Example:
        >>> is_unicode("caf\u00e9"), is_unicode("\udce9")
        (True, False)
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _both(point: tuple[int, str], comma: tuple[int, str]) -> str:
    return (
        f"row {point[0]} holds {point[1].strip()!r} and row {comma[0]} holds {comma[1].strip()!r}: decimal point and "
        "decimal comma in one column; write all of them in one way"
    )


def _western(text: str) -> str:
    """Digits of any script as 0 to 9, and the long minus as a hyphen."""
    if text.isascii():
        return text
    made = []
    for letter in text:
        made.append(str(int(letter)) if letter.isdecimal() else "-" if letter in "\u2212\uff0d" else letter)
    return "".join(made)
