"""Class names that Hugging Face datasets keep in a table's metadata, beside columns that hold their numbers.

A number is put back into its name, wherever the table came from: a dataset in memory, one Parquet file, a folder.
Lists of class numbers become lists of names. -1 stands for no label there.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

_LISTS = ("Sequence", "List", "LargeList")


def name_classes(table: pa.Table) -> pa.Table:
    """Put the names of class labels in place of their numbers; a column that holds none is left as it is.

    Raises:
        ValueError: A number beyond the names.
    """
    try:
        features = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        labels = {name: names for name, feature in features.items() if (names := _names(feature)) is not None}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return table
    for column, names in labels.items():
        if column not in table.column_names:
            continue
        place = table.column_names.index(column)
        held = table.schema.field(column).type
        if pa.types.is_integer(held):
            named = [_name(number, names, column) for number in table.column(column).to_pylist()]
            table = table.set_column(place, column, pa.array(named, pa.string()))
        elif _holds_numbers(held):
            lists = [
                cell if cell is None else [_name(number, names, column) for number in cell]
                for cell in table.column(column).to_pylist()
            ]
            table = table.set_column(place, column, pa.array(lists, pa.list_(pa.string())))
    return table


def _holds_numbers(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and pa.types.is_integer(kind.value_type))


def _names(feature: Any) -> list[str] | None:
    """The names of a feature of class labels, or of lists of them."""
    if isinstance(feature, list) and len(feature) == 1:  # how older files write a list
        return _names(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in _LISTS:
        return _names(feature.get("feature"))
    if feature.get("_type") != "ClassLabel" or not isinstance(feature.get("names"), list):
        return None
    return [str(name) for name in feature["names"]]


def _name(number: int | None, names: list[str], column: str) -> str | None:
    if number is None or number == -1:
        return None
    if not 0 <= number < len(names):
        raise ValueError(f"column {column!r} holds the class number {number}, beyond its {len(names)} class names")
    return names[number]
