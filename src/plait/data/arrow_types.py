"""What an Arrow type holds: text, numbers, dates, raw contents, lists of these."""

from __future__ import annotations

import pyarrow as pa


def is_text(kind: pa.DataType) -> bool:
    """Texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whole, broken or decimal numbers, or truth values."""
    real = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(real or pa.types.is_boolean(kind))


def is_date(kind: pa.DataType) -> bool:
    """Dates, times of day, or both."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind))


def is_media(kind: pa.DataType) -> bool:
    """Text (paths, base64), bytes, or the dictionary of bytes and path."""
    held = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_struct(kind)
    return bool(held or is_text(kind))


def is_list(kind: pa.DataType) -> bool:
    """Lists of anything."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def item_type(kind: pa.DataType) -> pa.DataType | None:
    """The type of a list's items; None for what is no list."""
    return kind.value_type if is_list(kind) else None


def list_depth(kind: pa.DataType) -> int:
    """How many lists stand inside one another around numbers; 0 for what is no list of numbers."""
    depth = 0
    inner: pa.DataType | None = kind
    while inner is not None and is_list(inner):
        depth, inner = depth + 1, item_type(inner)
    return depth if inner is not None and is_number(inner) else 0
