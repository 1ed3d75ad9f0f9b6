"""A cursor over the bytes of a foreign file: every read is checked against the end before it happens.

In: a file of some documented binary layout (little-endian). Out: numbers, text and arrays. A length that points
outside the file is refused with the place where it stood, and nothing is allocated for it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np


class ByteReader:
    """Reads a file from front to back.

    Args:
        path: The file, read as a whole (weights of some 100 MB).
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.data = path.read_bytes()
        self.place = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Unpack numbers by a ``struct`` layout without byte-order sign, such as "2I" or "f"."""
        layout = "<" + layout
        start = self._step(struct.calcsize(layout))
        return struct.unpack_from(layout, self.data, start)

    def number(self, letter: str) -> Any:
        """Unpack one number ("H", "I", "i", "Q", "f", "B")."""
        return self.numbers(letter)[0]

    def text(self, length: int) -> str:
        """Read UTF-8 text of some bytes; zeros at its end are taken off."""
        start = self._step(length)
        try:
            return self.data[start : start + length].rstrip(b"\0").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.name} is damaged: no text at byte {start}") from error

    def array(self, dtype: str, count: int) -> np.ndarray:
        """Read ``count`` values of a little-endian NumPy type such as "<f4"; a view, not a copy."""
        start = self._step(count * np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, dtype=dtype, count=count, offset=start)

    def jump(self, place: int) -> None:
        """Go to a byte counted from the start of the file."""
        if not 0 <= place <= len(self.data):
            raise ValueError(f"{self.name} is damaged: it points to byte {place} of {len(self.data)}")
        self.place = place

    def _step(self, length: int) -> int:
        start = self.place
        if length < 0 or start + length > len(self.data):
            raise ValueError(
                f"{self.name} is damaged: at byte {start} it claims {length} bytes, {len(self.data) - start} are left"
            )
        self.place = start + length
        return start
