"""Files of an index are read only where they are ordinary: a pipe or a device in their place could be read for ever."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from plait.files import require_regular_file


def read_ordinary(path: Path) -> bytes:
    """The bytes of an ordinary file.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is no ordinary file.
    """
    refuse_others(path)
    return path.read_bytes()


def refuse_others(path: Path) -> None:
    """Refuse what is no ordinary file, as :func:`plait.files.require_regular_file`.

    Raises:
        FileNotFoundError: Nothing is there; its ``filename`` is the path.
        ValueError: It is a folder, a pipe, a device or a socket.
    """
    try:
        require_regular_file(path, "index's file")
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
