"""Arrow types without views, dictionaries, runs and extensions: the plain ones that every later room knows."""

from __future__ import annotations

import pyarrow as pa


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that a dictionary column points at (a cast cannot reach values of every type)."""
    kind = plain_type(column.type.value_type)
    parts = []
    for chunk in column.chunks:
        values = chunk.dictionary
        parts.append((values if values.type == kind else pa.array(values.to_pylist(), kind)).take(chunk.indices))
    return pa.chunked_array(parts, type=kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without views, dictionaries and extensions, also inside lists and structs."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(plain_type(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain_type(field.type)) for field in kind])
    return kind
