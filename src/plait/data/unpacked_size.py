"""How many bytes an Arrow array takes once its dictionaries and runs are written out."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_OFFSET = 8


def unpacked_bytes(array: pa.Array) -> int:
    """The bytes of an array as plain values, counted without making them.

    Example:
        >>> unpacked_bytes(pa.array(["abcd"] * 3).dictionary_encode())
        36
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return unpacked_bytes(array.storage)
    if pa.types.is_dictionary(kind):
        return _sum(_lengths(array.dictionary).take(array.indices)) + _OFFSET * int(len(array))
    if pa.types.is_run_end_encoded(kind):
        ends = array.run_ends.to_pylist()
        lengths = _lengths(array.values).to_pylist()
        starts = [0, *ends[:-1]]
        repeated = sum((end - start) * (size or 0) for start, end, size in zip(starts, ends, lengths, strict=True))
        return int(repeated + _OFFSET * len(array))
    if pa.types.is_struct(kind):
        return sum(unpacked_bytes(part) for part in array.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return unpacked_bytes(array.flatten()) + _OFFSET * len(array)
    return int(array.nbytes)


def longest_value(array: pa.Array) -> tuple[int, int]:
    """Place and bytes of the longest text or content of an array; (0, 0) where it holds neither."""
    if not _has_lengths(array.type) or len(array) == 0:
        return 0, 0
    lengths = _lengths(array)
    most = pc.max(lengths)
    return (pc.index(lengths, most).as_py() if most.as_py() else 0), int(most.as_py() or 0)


def _has_lengths(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )  # fmt: skip


def _lengths(values: pa.Array) -> pa.Array:
    if _has_lengths(values.type):
        return pc.binary_length(values)
    size = values.nbytes // max(1, len(values))
    if pa.types.is_string_view(values.type):
        return pc.binary_length(values.cast(pa.large_string()))
    if pa.types.is_binary_view(values.type):
        return pc.binary_length(values.cast(pa.large_binary()))
    return pa.array([size] * len(values), pa.int64())


def _sum(lengths: pa.Array) -> int:
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)
