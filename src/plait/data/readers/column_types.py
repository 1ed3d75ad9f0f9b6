"""Columns of text to columns of numbers, truth values or text, each as a whole and without loss.

A column is whole numbers, numbers, true/false, else text. Digits that carry leading zeros (post codes) or a plus sign
(phone numbers; but not ``+2.5`` beside ``-1``) and those beyond 64 bits stay text. An empty cell is a missing value; in
a column of numbers so are ``nan``, ``na``, ``n/a``, ``null`` and ``none``.
A table that comes after training is read as the training table was:
what held text stays text (``1.10``, ``01234``), what held numbers is read as numbers of the same decimal mark, and
where a cell cannot be, the column stays text for the next room to name the row.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from plait.data.read_again import WHOLE, held_again
from plait.data.readers.parsed import TextReading
from plait.data.small_arrays import small_array
from plait.data.values import (
    MISSING_WORDS,
    ColumnReading,
    are_signed,
    decimal_mark,
    is_missing_number,
    read_number,
    truth_word,
)

BEYOND = re.compile(r"-?[0-9]{19,}")
NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,4})?|-?inf(inity)?", re.I)
_ENDS_IN_ZERO = re.compile(r"-?[0-9]*\.[0-9]*[1-9]0+")
_FEW = 20  # different cells, beyond which numbers are measured and no names
_CODE = re.compile(r"\+.*|-?0[0-9].*")
_ARROW = {"whole": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}


def read_columns(
    cells: Iterable[tuple[str, list[str]]], how: TextReading
) -> tuple[dict[str, pa.Array], dict[str, ColumnReading]]:
    """Every column typed, and how each was read.

    Args:
        cells: Names and text of the columns, one at a time in memory.
        how: How they are read.
    """
    typed: dict[str, pa.Array] = {}
    read: dict[str, ColumnReading] = {}
    for name, column in cells:
        known = how.readings.get(name)
        if known is None and (name in how.text or (name in how.categorical and loses_spellings(column))):
            known = ColumnReading("text")
        typed[name], read[name] = type_column(column, how.decimal) if known is None else (read_as(column, known), known)
        if known is not None and known.held == "whole":
            _warn_of_grouped(name, column, known.mark)
        if known is None and read[name].held == "number":
            warn_of_one_number(name, column)
    return typed, read


def type_column(cells: list[str], decimal: str | None = None) -> tuple[pa.Array, ColumnReading]:
    """The text of one column as the narrowest type that holds every cell without loss, and its name.

    Example:
        >>> type_column(["1", "", "3"])[0].to_pylist(), type_column(["01", "2"])[0].to_pylist()
        ([1, None, 3], ['01', '2'])
        >>> type_column(["1,5", "20,25"])[0].to_pylist()
        [1.5, 20.25]
    """
    filled = [cell for cell in cells if cell != ""]
    values = [bare for cell in filled if (bare := cell.strip()).lower() not in MISSING_WORDS]
    if values and all(map(WHOLE.fullmatch, values)):
        return _numbers(cells, int, pa.int64()), ColumnReading("whole")
    if values and all(map(NUMBER.fullmatch, values)) and not any(map(BEYOND.fullmatch, values)):
        return _numbers(cells, float, pa.float64()), ColumnReading("number")
    if filled and all(map(truth_word, filled)):
        held = [None if cell == "" else truth_word(cell) == "true" for cell in cells]
        return small_array(held, pa.bool_()), ColumnReading("truth")
    mark = _mark(values, decimal)
    if mark is None:
        return text_array(cells), ColumnReading("text")
    return _numbers(cells, lambda cell: read_number(cell, mark), pa.float64()), ColumnReading("number", mark)


def loses_spellings(cells: list[str]) -> bool:
    """Whether numbers made of the cells could not be told apart or spelled again: ``1.10``, or ``2`` beside ``2.0``.

    Example:
        >>> loses_spellings(["1.1", "1.10"]), loses_spellings(["3.0", "4.0"]), loses_spellings(["1", "2"])
        (True, False, False)
    """
    values = {cell.strip() for cell in cells}
    numbers = {number for value in values if (number := read_number(value)) is not None}
    words = sum(read_number(value) is not None for value in values)
    return len(numbers) < words or any(map(_ENDS_IN_ZERO.fullmatch, values))


def one_number(cells: Iterable[str]) -> tuple[str, str] | None:
    """Two spellings among few that differ in zeros at the end only, as versions do.

    Example:
        >>> one_number(["1.1", "1.10", "1.2"]), one_number(["1.10", "1.20"]), one_number(["1", "1.0"])
        (('1.1', '1.10'), None, None)
    """
    distinct: set[str] = set()
    for cell in cells:
        distinct.add(cell.strip())
        if len(distinct) > _FEW:
            return None
    pairs = [(v.rstrip("0"), v) for v in sorted(distinct) if _ENDS_IN_ZERO.fullmatch(v)]
    return next((pair for pair in pairs if pair[0] in distinct), None)


def warn_of_one_number(name: str, cells: Iterable[str]) -> None:
    """Say that two spellings of a column of numbers are one number, which names such as versions are not."""
    same = one_number(cells)
    if same is not None:
        warnings.warn(
            f"column {name!r} holds {same[0]!r} and {same[1]!r}, which are one number; if they are names, such as "
            f"versions, categorical={name!r} keeps them apart",
            UserWarning,
            stacklevel=3,
        )


def _warn_of_grouped(name: str, cells: list[str], mark: str) -> None:
    """Warn of a later table of a column of whole numbers in which no cell with a mark tells groups from decimals."""
    marked = [cell.strip() for cell in cells if mark in cell]
    if marked and all(re.fullmatch(rf"-?[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}", cell) for cell in marked):
        warn_of_grouped_example(name, marked[0], mark)


def warn_of_grouped_example(name: str, example: str, mark: str) -> None:
    """Say that a later table of a column of whole numbers holds ``1.234``, where no cell tells groups from decimals."""
    other = "," if mark == "." else "."
    warnings.warn(
        f"column {name!r} held whole numbers in training, and {example!r} is read as a number with decimals; if "
        f"{mark!r} groups thousands there, type decimal={other!r}",
        UserWarning,
        stacklevel=4,
    )


def read_as(cells: list[str], reading: ColumnReading) -> pa.Array:
    """The text of one column as the training table held it; text where a cell cannot be read so."""
    found = held_again(cells, reading)
    return text_array(cells) if found is None else small_array(found[1], _ARROW[found[0]])


def read_as_held(cells: Sequence[str], held: str, mark: str | None = None) -> pa.Array:
    """Cells of which it is known that they can be read so.

    Args:
        cells: The text.
        held: "whole", "number" or "truth".
        mark: The decimal mark of numbers; None: as Python spells them.
    """
    if held == "truth":
        return small_array([None if cell == "" else truth_word(cell) == "true" for cell in cells], pa.bool_())
    if held == "whole":
        return _numbers(cells, int, pa.int64())
    return _numbers(cells, float if mark is None else lambda cell: read_number(cell, mark), pa.float64())


def _mark(values: list[str], decimal: str | None) -> str | None:
    """The decimal mark of a column of grouped numbers or decimal commas; None where it is no such column."""
    codes = [v for v in values if not re.match(r"-?0[.,]", v) and _CODE.fullmatch(v)]
    signed = bool(codes) and all(v[0] == "+" for v in codes) and are_signed(values)
    if not values or (codes and not signed):
        return None
    found = decimal_mark(values)
    if found.unreadable or not (signed or any(c in value for value in values for c in ",.")):
        return None
    mark = found.mark or decimal
    return mark if mark is not None and all(read_number(v, mark) is not None for v in values) else None


def _numbers(cells: Sequence[str], convert: Any, kind: pa.DataType) -> pa.Array:
    return small_array([None if is_missing_number(c) else convert(c.strip()) for c in cells], kind)


def text_array(cells: Sequence[str]) -> pa.Array:
    """Cells as text, None where they are empty."""
    kind = pa.large_string() if sum(map(len, cells)) > 2**28 else pa.string()
    return small_array([cell if cell != "" else None for cell in cells], kind)
