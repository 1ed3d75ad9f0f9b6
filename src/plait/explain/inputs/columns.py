"""Cells of a row that can be hidden: taken from other rows, all from the same one, or missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plait.data.shown import shown_text
from plait.explain.inputs.cut import Cut


def cut_columns(cell: Mapping[str, Any], others: Sequence[Mapping[str, Any]], instead: str = "marginal") -> Cut:
    """The cells of a row.

    Args:
        cell: Column to value.
        others: Cells of other rows, a draw each.
        instead: "marginal", or "missing", which also stands in where there is no other row.

    Example:
        >>> cut = cut_columns({"area": 3, "zip": "a"}, [{"area": 9, "zip": "b"}])
        >>> cut.hidden(np.array([False, True]), 0)
        {'area': 9, 'zip': 'a'}
    """
    note = None
    if instead == "marginal" and not others:
        instead, note = "missing", "there is no other row to take cells from, so hidden ones are missing"
    names = list(cell)

    def hidden(kept_P: np.ndarray, draw: int) -> dict[str, Any]:
        given: Mapping[str, Any] = others[draw] if instead == "marginal" else {}
        return {name: cell[name] if kept else given.get(name) for name, kept in zip(names, kept_P, strict=True)}

    parts = [{"column": name, "cell": shown_text(value)} for name, value in cell.items()]
    draws = len(others) if instead == "marginal" else 1
    what = f"the cells of another row, answers averaged over {draws} such rows" if instead == "marginal" else "nothing"
    return Cut(parts, hidden, what, draws=draws, note=note)
