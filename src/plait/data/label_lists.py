"""Whether a column of text holds lists of labels: JSON, or what pandas writes of a column of lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def are_label_lists(cells: Iterable[Any]) -> bool:
    """Whether every filled cell is a text in square brackets, and one is there.

    Example:
        >>> are_label_lists(['["sea", "sun"]', "[]", None]), are_label_lists(["['sea']"]), are_label_lists(["sea"])
        (True, True, False)
    """
    filled = [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]
    return bool(filled) and all(
        isinstance(cell, str) and cell.strip().startswith("[") and cell.strip().endswith("]") for cell in filled
    )
