"""Progress on the terminal: one bar with an estimate of the time left, on stderr, so that stdout stays clean.

Where stderr is not a terminal (a log file, CI) a line is written every few seconds instead of a redrawn bar.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 5.0
ASK_RICH = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")  # by which what is no terminal may be one for it


class TerminalProgress:
    """Callable ``(done, total, what)``; a new ``what`` up to its first ": " or " epoch " starts a new bar.

    A total of 0 stands for one that is not known.

    Args:
        quiet: Show nothing.
        lang: Language of the lines, "en" or "zh"; None: English.

    Example:
        >>> with TerminalProgress(quiet=True) as progress:
        ...     progress(1, 2, "encoding")
    """

    def __init__(self, *, quiet: bool = False, lang: str | None = None) -> None:
        self.quiet, self.lang = quiet, lang
        self.console: Any = None
        if not quiet and (sys.stderr.isatty() or any(name in os.environ for name in ASK_RICH)):
            from rich.console import Console  # a tenth of a second to import, and nothing to show where nobody watches

            self.console = Console(stderr=True)
        self.bars = self.console is not None and self.console.is_terminal
        self.progress: Progress | None = None
        self.task: Any = None
        self.topic = ""
        self.started = self.last_line = time.monotonic()
        self.begun_at = self.done = 0

    def __enter__(self) -> TerminalProgress:
        if self.bars:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self.progress = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(),
                TimeElapsedColumn(), TextColumn(self._said("left")), TimeRemainingColumn(), console=self.console,
            )  # fmt: skip
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that ``done`` of ``total`` is done."""
        if self.quiet:
            return
        topic, what = what.split(" epoch ")[0].split(": ")[0], self._said(what)
        if self.progress is not None:
            if topic != self.topic:
                self.task = self.progress.add_task(what, total=total or None)
            elif done < self.done:  # the same work begins again, on another table
                self.progress.reset(self.task)
            self.progress.update(self.task, completed=done, total=total or None, description=what)
        else:
            self._line(done, total, what, topic)
        self.topic, self.done = topic, done

    def _line(self, done: int, total: int, what: str, topic: str) -> None:
        now = time.monotonic()
        if topic != self.topic or done < self.done:
            self.started, self.begun_at = now, done
        if topic == self.topic and (done < total or not total) and now - self.last_line < SECONDS_BETWEEN_LINES:
            return
        self.last_line = now
        spent = now - self.started
        new = done - self.begun_at  # one count may go on over several topics
        left = f", about {spent / new * (total - done):.0f} s left" if new > 0 and done < total and spent > 1 else ""
        of = f"/{total:,}" if total else ""
        colon = ": " if self.lang in (None, "en") else "\uff1a"
        sys.stderr.write(f"{what}{colon}{done:,}{of} {self._said(f'({spent:.0f} s{left})')}\n")
        sys.stderr.flush()

    def _said(self, text: str) -> str:
        """A text of ours in the language of the lines."""
        if self.lang in (None, "en"):
            return text
        from plait.api.machine import in_language

        return in_language(self.lang, text, kind="progress")
