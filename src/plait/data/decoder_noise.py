"""Silence for what decoders in C and Pillow say to stderr, where no line names the row that it is about.

What a decoder has against a file becomes the reason of a row; its own lines would be noise between them. Warnings of
Python and the file descriptor 2 belong to the whole process, so threads that decode at the same time share one quiet
time. Lines that are not a decoder's are written on when it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator

_DECODER_LINE = re.compile(
    rb"^(\[[^\]\n]*libmpg123[^\]\n]*\]|JPEGLib:|LibTIFF|TIFF\w+:|\w*[Ll]ib(tiff|jpeg|png)\b|Note: |Warning: Xing|"
    rb"(TIFF|JPEG|LZW|Fax|PixarLog|ZIP|Old)\w*(Decode|Directory|Strip|Tile|Open|Header|Entry|Data|Value)\w*:).*$"
)


class _Shared:
    """A state of the process that the first who enters changes and the last who leaves puts back."""

    def __init__(self, change: Callable[[], Callable[[], None]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._inside = 0
        self._put_back: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._put_back = self._change()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._put_back()


def _ignore_warnings() -> Callable[[], None]:
    stack = contextlib.ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    return stack.close


def _catch_stderr() -> Callable[[], None]:
    try:
        kept = os.dup(2)
    except OSError:  # a process without stderr
        return lambda: None
    caught = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is put back
    os.dup2(caught.fileno(), 2)

    def put_back() -> None:
        os.dup2(kept, 2)
        os.close(kept)
        caught.seek(0)
        rest = b"".join(line for line in caught if not _DECODER_LINE.match(line))
        caught.close()
        if rest:
            os.write(2, rest)

    return put_back


_warnings = _Shared(_ignore_warnings)
_stderr = _Shared(_catch_stderr)


def without_warnings() -> contextlib.AbstractContextManager[None]:
    """Ignore Python's warnings for a while."""
    return _warnings.entered()


def without_decoder_lines() -> contextlib.AbstractContextManager[None]:
    """Keep the lines of C decoders off stderr for a while; lines of others come when it ends."""
    return _stderr.entered()
