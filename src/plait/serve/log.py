"""Lines of JSON on stderr that say what happened and never what a request held.

No text, no path, no query and no message of an error is written.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

MOST_FRAMES = 6


class Log:
    """Writes lines.

    Args:
        file: Where to; None: stderr.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def write(self, event: str, **facts: Any) -> None:
        """One line: the time (UTC), what happened, and facts that are no user's own."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        line = json.dumps({"time": stamp, "event": event, **facts}, ensure_ascii=True, default=str)
        print_to = sys.stderr if self._file is None else self._file
        print_to.write(line + "\n")
        print_to.flush()

    def fault(self, error: BaseException, **facts: Any) -> None:
        """A fault of Plait: the type of the error and where it arose; its message may hold a user's text."""
        frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
        place = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        self.write("fault", error=type(error).__name__, place=place, **facts)


class LoggedQuietly(logging.Handler):
    """Turns what other packages log into lines without their words.

    Args:
        log: Where the lines go.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Say who logged, and how grave it is."""
        self._log.write(
            "logged", logger=record.name, level=record.levelname, place=f"{record.filename}:{record.lineno}"
        )
