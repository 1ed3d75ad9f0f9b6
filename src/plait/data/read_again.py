"""The text of a column of a later table as what the training table held: numbers, truth values or text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from plait.data.values import ColumnReading, is_missing_number, read_number, truth_word

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
Held = list[bool | None] | list[int | None] | list[float | None]


def held_again(cells: Sequence[str], reading: ColumnReading) -> tuple[str, Held] | None:
    """A column of text as it was held in training: "whole", "number" or "truth" and the values, None where empty.

    Args:
        cells: All of the column's cells; an empty one is "".
        reading: How the training table read it.

    Returns:
        None where it was text, or where a single cell cannot be read so: then all of them stay text.

    Example:
        >>> held_again(["3.0", "07"], ColumnReading("whole")), held_again(["3.0", "red"], ColumnReading("whole"))
        (('number', [3.0, 7.0]), None)
    """
    if reading.held == "truth" and all(map(truth_word, (cell for cell in cells if cell != ""))):
        return "truth", [None if cell == "" else truth_word(cell) == "true" for cell in cells]
    if reading.held in ("whole", "number"):
        values = [cell.strip() for cell in cells if not is_missing_number(cell)]
        if reading.held == "whole" and all(map(WHOLE.fullmatch, values)):
            return "whole", [None if is_missing_number(cell) else int(cell.strip()) for cell in cells]
        if all(read_number(value, reading.mark) is not None for value in values):
            return "number", [
                None if is_missing_number(cell) else read_number(cell.strip(), reading.mark) for cell in cells
            ]
    return None
