"""Columns of metadata as a filter names them, and what may be compared with them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from plait.registry import unknown_name


def place_of(name: str, names: list[str]) -> str:
    """The column that a name stands for.

    Raises:
        ValueError: There is none.
    """
    place = name if name in names else f"_{name}" if f"_{name}" in names else None
    if place is None:
        shown = [n.removeprefix("_") if n in ("_id", "_key") else n for n in names]
        raise ValueError(unknown_name("column", name, [n for n in shown if not n.startswith("_")]))
    return place


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def check_type(value: Any, kind: pa.DataType) -> None:
    """Whole numbers may meet broken ones; text may not meet numbers.

    Raises:
        TypeError: They cannot be compared.
    """
    if is_text(kind) and not isinstance(value, str | bool):
        raise TypeError(f"{value!r} is no {kind}; text stands in single quotes")
    if isinstance(value, bool) != pa.types.is_boolean(kind) or isinstance(value, str) != is_text(kind):
        raise TypeError(f"{value!r} is no {kind}")
