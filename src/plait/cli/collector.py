"""Python's garbage collector while a verb starts.

Imports make hundreds of thousands of objects that stay. The collector, started by their number, walks through them
again and again and finds nothing: a tenth of a second and more of a start. So verbs that answer begin without it, and
call :func:`collect_from_now` once the model is there.
"""

from __future__ import annotations

import gc

STARTS_WITHOUT = ("predict", "evaluate")


def begin_without(verb: str) -> None:
    """Switch the collector off where the verb switches it on again."""
    if verb in STARTS_WITHOUT:
        gc.disable()


def collect_from_now() -> None:
    """Switch it on; what lives by now is set aside and not walked through again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
