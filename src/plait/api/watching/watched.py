"""``progress=`` of the API: a function to call, False for silence, or None: bars where a person watches.

A person watches where stderr is a terminal, or in a notebook; not in a log file, a pipe, a server or a test. What is
over within a second shows nothing. Work inside watched work has no bars of its own.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from plait.api.watching.notebook import NotebookProgress, notebook_shell
from plait.data.progress import Progress

Given = ParamSpec("Given")
Made = TypeVar("Made")
WatchedBy = Progress | bool | None
"""What ``progress=`` takes: a function, False (no bars), or None and True (bars where a person watches)."""

SECONDS_WITHOUT_BARS = 1.0
_INSIDE: ContextVar[bool] = ContextVar("inside watched work", default=False)


class LateBars:
    """Opens bars at the first call after a second, and closes them.

    Args:
        make: Makes them; a context whose value is called with (done, total, what).
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self.stack = make, ExitStack()
        self.began = time.monotonic()
        self.bars: Progress | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that ``done`` of ``total`` is done."""
        if self.bars is None:
            if time.monotonic() - self.began < SECONDS_WITHOUT_BARS:
                return
            self.bars = self.stack.enter_context(self.make())
        self.bars(done, total, what)


def who_watches() -> Callable[[], Any] | None:
    """What makes bars for whoever watches; None: nobody does."""
    if notebook_shell() is not None:
        return NotebookProgress
    stream = sys.stderr
    if stream is not None and hasattr(stream, "isatty") and not stream.closed and stream.isatty():
        from plait.api.watching.terminal import TerminalProgress

        return TerminalProgress
    return None


@contextmanager
def watching(given: WatchedBy) -> Iterator[Progress | None]:
    """What to call with (done, total, what) while something is done; None: nothing.

    Raises:
        TypeError: ``progress`` is neither a function, a truth value nor None.
    """
    if given is not None and not isinstance(given, bool) and not callable(given):
        raise TypeError(
            f"progress is {given!r}; expected a function that is called with (done, total, what), False for no bars, "
            "or None for bars where a person watches"
        )
    make = who_watches() if (given is None or given is True) and not _INSIDE.get() else None
    inside = _INSIDE.set(True)
    try:
        if make is None:
            yield given if callable(given) else None
            return
        late = LateBars(make)
        with late.stack:
            yield late
    finally:
        _INSIDE.reset(inside)


def watched(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function that takes ``progress=`` show bars by default; it gets a :data:`plait.data.progress.Progress`."""

    @functools.wraps(function)
    def shown(*arguments: Given.args, **named: Given.kwargs) -> Made:
        given: Any = named.pop("progress", None)
        with watching(given) as progress:
            return function(*arguments, **named, progress=progress)  # type: ignore[arg-type]

    return shown
