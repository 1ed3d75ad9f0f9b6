"""Files of an index are read only where they are ordinary: a pipe or a device in their place could be read for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_ordinary(path: Path) -> bytes:
    """The bytes of an ordinary file.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is no ordinary file.
    """
    refuse_others(path)
    return path.read_bytes()


def refuse_others(path: Path) -> None:
    """Refuse what is no ordinary file.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: It is a folder, a pipe, a device or a socket.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise ValueError(f"{path.name} is {what}, not an ordinary file")
