"""Arrow files (Feather version 2) and Arrow streams, whose buffers may be compressed.

A compressed buffer begins with its size unpacked, and the message of a batch says where its buffers lie; that much of
the format (Flatbuffers) is read here, so that the size is known before anything is unpacked.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa

from plait.data.readers.budget import Budget
from plait.files import require_regular_file

_MAGIC = b"ARROW1"
_HEADER, _DATA, _BUFFERS, _COMPRESSION = 2, 1, 2, 3  # fields of Message, DictionaryBatch and RecordBatch


def read_arrow_file(path: Path, budget: Budget) -> pa.Table:
    """An Arrow file or an Arrow stream, whichever it is.

    Raises:
        TableTooLargeError: It unpacks to more than the budget.
        pyarrow.ArrowException: It is broken.
    """
    require_regular_file(path, "table")
    with open(path, "rb") as file:
        is_file = file.read(len(_MAGIC)) == _MAGIC
    with pa.memory_map(str(path)) as source:
        source.seek(8 if is_file else 0)
        for message in pa.ipc.MessageReader.open_stream(source):
            budget.take(_unpacked(message))
    with pa.OSFile(str(path), "rb") as source:
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        return reader.read_all()


def _unpacked(message: pa.ipc.Message) -> int:
    """Bytes that the buffers of a message take."""
    if message.type not in ("record batch", "dictionary") or message.body is None:
        return 0
    try:
        flat = _Flat(message.metadata.to_pybytes())
        batch = flat.table(flat.root, _HEADER)
        if message.type == "dictionary":
            batch = flat.table(batch, _DATA)
        if flat.field(batch, _COMPRESSION) is None:
            return int(message.body.size)
        body = memoryview(message.body)
        sizes = [
            struct.unpack_from("<q", body, start)[0] if length >= 8 else length for start, length in flat.buffers(batch)
        ]
        return sum(size for size in sizes if size > 0) + sum(
            length for (_, length), size in zip(flat.buffers(batch), sizes, strict=True) if size < 0
        )
    except struct.error as error:
        raise pa.ArrowInvalid(f"a batch whose message is broken ({error})") from error


class _Flat:
    """The few reads of Flatbuffers that are needed: a table's field, and a vector of pairs."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = struct.unpack_from("<I", data)[0]

    def field(self, table: int, number: int) -> int | None:
        """Where a field of a table lies; None where it is left out."""
        offsets = table - struct.unpack_from("<i", self.data, table)[0]
        size = struct.unpack_from("<H", self.data, offsets)[0]
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", self.data, offsets + place)[0] if place + 2 <= size else 0
        return table + offset if offset else None

    def table(self, table: int, number: int) -> int:
        """Where the table lies at which a field points."""
        place = self.field(table, number)
        if place is None:
            raise struct.error("a field is missing")
        return place + int(struct.unpack_from("<I", self.data, place)[0])

    def buffers(self, batch: int) -> list[tuple[int, int]]:
        """Start and length of each buffer of a batch."""
        vector = self.table(batch, _BUFFERS)
        count = struct.unpack_from("<I", self.data, vector)[0]
        return [struct.unpack_from("<qq", self.data, vector + 4 + 16 * i) for i in range(count)]
