"""How many bytes a table may take when it is unpacked, and the error for one that takes more.

Compressed files can hold a thousand times their size, and whoever finds out while reading has no memory left to say
so. Readers therefore ask before they unpack, or count while they do. A table may take half of the memory that is free
(text an eighth, since Python's strings are far larger than what they were read from), and no more than fifty times
its file where that is beyond 512 MiB. ``PLAIT_MAX_TABLE_BYTES`` replaces both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from plait.data.memory import available_memory

LIMIT_VARIABLE = "PLAIT_MAX_TABLE_BYTES"
MAX_CELL_BYTES = 512 * 2**20  # above the base64 text of the largest image
_NEVER_A_BOMB = 512 * 2**20
_MOST_TIMES = 50


class TableTooLargeError(ValueError):
    """A table takes more memory than it may; the message says how much, and what to do."""


@dataclass
class Budget:
    """What one table may take, counted while it is read.

    Attributes:
        source: The file or folder, for the message.
        packed: Its bytes on the disk.
        limit: The most bytes that it may take.
        reason: Why that many, in words.
        used: Bytes counted so far.
    """

    source: str
    packed: int
    limit: int
    reason: str
    used: int = 0

    @classmethod
    def of(cls, source: Path | str, packed: int, *, is_text: bool = False) -> Budget:
        """The budget of a file or folder.

        Raises:
            ValueError: ``PLAIT_MAX_TABLE_BYTES`` is no number of bytes.
        """
        given = os.environ.get(LIMIT_VARIABLE, "").strip()
        if given:
            digits = given.replace("_", "")
            if not digits.isdecimal() or int(digits) < 1:
                raise ValueError(f"{LIMIT_VARIABLE} is {given!r}; expected a number of bytes such as 8000000000")
            return cls(str(source), packed, int(digits), f"set by {LIMIT_VARIABLE}")
        memory = available_memory() // (8 if is_text else 2)
        inflated = max(_NEVER_A_BOMB, _MOST_TIMES * packed)
        if memory <= inflated:
            return cls(str(source), packed, memory, f"{'an eighth' if is_text else 'half'} of the memory that is free")
        return cls(str(source), packed, inflated, f"{_MOST_TIMES} times its size on the disk, 512 MiB at least")

    def take(self, num_bytes: int, what: str = "") -> None:
        """Count bytes; ``what`` says which column or part they are of.

        Raises:
            TableTooLargeError: They are beyond the limit together with those before.
        """
        self.used += int(num_bytes)
        if self.used > self.limit:
            part = f" ({what})" if what else ""
            raise TableTooLargeError(
                f"{self.source}: unpacks to {self.used:,} bytes or more{part} from {self.packed:,}; the limit is "
                f"{self.limit:,}, {self.reason}. Read a part of it (fewer rows or columns) with pandas or numpy and "
                f"pass that, or raise the limit: {LIMIT_VARIABLE}={2 * self.used}"
            )


def require_memory(source: Path | str, needed: int) -> None:
    """Make sure that what reading takes is there; not asked where ``PLAIT_MAX_TABLE_BYTES`` is set.

    Raises:
        TableTooLargeError: It is more than the memory that is free.
    """
    free = available_memory()
    if needed > free and not os.environ.get(LIMIT_VARIABLE, "").strip():
        raise TableTooLargeError(
            f"{source}: takes about {needed:,} bytes of memory to read, and {free:,} are free. Save it as Parquet, "
            "which takes far less, or read a part of it (fewer rows or columns) with pandas and pass that; set "
            f"{LIMIT_VARIABLE} to read it all the same"
        )


def too_large_for_memory(source: Path | str) -> MemoryError:
    """The error for a table for which memory ran out while it was read: it is too large, not broken."""
    return MemoryError(
        f"{source}: memory ran out while it was read; the table is too large for this machine, not "
        "broken. Read a part of it (fewer rows or columns) with pandas or numpy and pass that"
    )
