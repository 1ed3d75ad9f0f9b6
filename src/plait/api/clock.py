"""When a run began, for its time limit: the call of ``plait.fit``, or earlier, where a program says so.

The command line counts from its own start, so that seconds of imports are among those of the limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_BEGAN: ContextVar[float | None] = ContextVar("began", default=None)


@contextmanager
def counted_from(moment: float) -> Iterator[None]:
    """Count the time limits of runs in this block from a moment.

    Args:
        moment: ``time.monotonic()`` at that moment.
    """
    token = _BEGAN.set(moment)
    try:
        yield
    finally:
        _BEGAN.reset(token)


def run_began() -> float:
    """``time.monotonic()`` when the run that is called now began."""
    began = _BEGAN.get()
    return time.monotonic() if began is None else began
