"""What the pages of a Parquet file say of themselves: bytes unpacked, values, and how they are encoded.

The metadata at the end of a file are a writer's summary; a decoder takes the memory that the header before each page
claims. The headers (Thrift, compact protocol) are read here without unpacking anything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

_AT_ONCE, _MOST = 1 << 12, 1 << 24  # bytes of a header looked at: usually enough, and the most that Arrow takes
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # kinds of page, and the fields of a header that describe them:
_DETAILS = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_KIND, _UNPACKED, _PACKED, _COUNT = 1, 2, 3, 1
_ENCODING = {_DATA: 2, _DATA_V2: 4}
_PREFIXES, _POINTERS = 7, (2, 8)  # DELTA_BYTE_ARRAY; PLAIN_DICTIONARY and RLE_DICTIONARY


@dataclass
class Pages:
    """The pages of one column of one row group, summed.

    Attributes:
        unpacked: Bytes that they take uncompressed.
        values: Values in the pages of data.
        points: Some point into a dictionary.
        repeats_prefixes: Some values are told by what they share with the one before.
    """

    unpacked: int = 0
    values: int = 0
    points: bool = False
    repeats_prefixes: bool = False


def read_pages(file: BinaryIO, chunk: Any, size: int) -> Pages:
    """Walk over the pages of a column chunk.

    Args:
        file: The file.
        chunk: ``pyarrow.parquet.ColumnChunkMetaData``.
        size: Bytes of the file.

    Raises:
        pyarrow.ArrowInvalid: A header that cannot be read, a negative size, or a chunk outside the file.
    """
    if chunk.num_values == 0:  # no page is read, and none need be there
        return Pages()
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    if not 0 < place <= end <= size:
        raise pa.ArrowInvalid(f"column {chunk.path_in_schema!r} lies outside the file")
    found = Pages()
    while place < end and found.values < chunk.num_values:
        header, length = _header(file, place, end)
        kind, unpacked, packed = (header.get(field, -1) for field in (_KIND, _UNPACKED, _PACKED))
        details = header.get(_DETAILS.get(kind, -1), {})
        count = details.get(_COUNT, 0) if isinstance(details, dict) else -1
        if not all(isinstance(value, int) and value >= 0 for value in (kind, unpacked, packed, count)):
            raise pa.ArrowInvalid(f"column {chunk.path_in_schema!r} has a page header that is broken")
        found.unpacked += max(unpacked, packed)
        if kind in _ENCODING:
            found.values += count
            found.points |= details.get(_ENCODING[kind]) in _POINTERS
            found.repeats_prefixes |= details.get(_ENCODING[kind]) == _PREFIXES
        place += length + packed
    return found


def _header(file: BinaryIO, place: int, end: int) -> tuple[dict[int, Any], int]:
    """The header of the page that begins at a place, and its length."""
    size = _AT_ONCE
    while True:
        file.seek(place)
        data = file.read(min(size, end - place))
        try:
            reader = _Compact(data)
            return reader.struct(), reader.place
        except IndexError as error:
            if size >= _MOST or len(data) < size:
                raise pa.ArrowInvalid("a page header has no end") from error
            size *= 16
        except (ValueError, RecursionError, struct.error) as error:
            raise pa.ArrowInvalid(f"a page header is broken ({error})") from error


class _Compact:
    """The compact protocol of Thrift, as far as structs need it: fields by number; what is no number is skipped."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def struct(self) -> dict[int, Any]:
        """A struct's fields."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2):  # true and false
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            self._skip(8)
        elif kind == 8:
            self._skip(self._unsigned())
        elif kind in (9, 10):
            self._list()
        elif kind == 12:
            return self.struct()
        else:
            raise ValueError(f"no field is of the type {kind}")
        return None

    def _list(self) -> None:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._unsigned()
        for _ in range(count):
            if head & 15 in (1, 2):
                self._skip(1)
            else:
                self._value(head & 15)

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self.data):
            raise IndexError

    def _byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number without end")

    def _signed(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)
