"""Lines on stderr that say what happened and never what a request held: JSON for machines, words on a terminal.

No text, no path of a request, no query and no message of an error is written.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from plait.report.languages import ENGLISH, spoken, tr

MOST_FRAMES = 6


class Log:
    """Writes lines.

    Args:
        file: Where to; None: stderr.
        for_people: Whether they are words instead of JSON; None: where the file is a terminal.
        lang: Language of the words, "en" or "zh"; None: English.
    """

    def __init__(
        self, file: TextIO | None = None, *, for_people: bool | None = None, lang: str | None = None
    ) -> None:  # fmt: skip
        self._file, self._lang = file, lang or ENGLISH
        self._for_people = (sys.stderr if file is None else file).isatty() if for_people is None else for_people

    def write(self, event: str, **facts: Any) -> None:
        """One line: the time (UTC; on a terminal the local one), what happened, and facts that are no user's own."""
        now = time.time()
        if self._for_people:
            with spoken(self._lang):
                line = time.strftime("%H:%M:%S", time.localtime(now)) + " " + _in_words(event, facts)
        else:
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


def _in_words(event: str, facts: Mapping[str, Any]) -> str:
    """The line of an event as a person reads it; of an event without words of its own its facts."""
    words = _WORDS.get(event)
    return f"{event} " + " ".join(f"{k}={v}" for k, v in facts.items()) if words is None else words(facts)


def _said(text: str) -> str:
    """A text of ours in the language that is spoken."""
    return str(tr(text, "serve"))


def _ready(facts: Mapping[str, Any]) -> str:
    seconds = _said(f"ready after {facts['seconds']:g} s; Ctrl-C stops it")
    return _said(f"open {facts['open']}") + f"  ({seconds})" if facts.get("open") else seconds


def _request(facts: Mapping[str, Any]) -> str:
    rows = f", {facts['rows']} row{'' if facts['rows'] == 1 else 's'}" if "rows" in facts else ""
    return _said(f"{facts['method']} {facts['route']} {facts['status']} in {facts['ms']:g} ms{rows}")


def _headed(word: str, what: str) -> str:
    return f"{tr(word)}{tr(': ', 'stop')}{tr(what)}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "loading": lambda facts: _said(f"loading {facts['model']} ..."),
    "listening": lambda facts: _said("loaded; answering made-up rows to warm up ..."),
    "ready": _ready,
    "warning": lambda facts: _headed("warning", facts["what"]),
    "caution": lambda facts: _headed("note", facts["what"]),
    "stopped": lambda facts: _said("stopped" if facts.get("finished", True) else "stopped; work was left unfinished"),
    "request": _request,
}
