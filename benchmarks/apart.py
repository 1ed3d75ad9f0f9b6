"""A side of a comparison in a process of its own: what Plait sets for its process is not lent to a peer."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from typing import Any


class Apart(AbstractContextManager["Apart"]):
    """Called, it runs a side in its process and gives back what the side does.

    Args:
        make: A function of a module, called once in that process, which gives the side.
        given: What it is called with.

    Raises:
        RuntimeError: The side failed; the message is its own.
    """

    def __init__(self, make: Callable[..., Callable[[], Any]], *given: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, make, given))
        self.process.start()
        there.close()
        self._answer()

    def __call__(self) -> Any:
        self.here.send(True)
        return self._answer()

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # one that failed is gone
            self.here.send(False)
        self.process.join()

    def _answer(self) -> Any:
        went_well, found = self.here.recv()
        if not went_well:
            raise RuntimeError(found)
        return found


def _serve(there: Connection, make: Callable[..., Callable[[], Any]], given: tuple[Any, ...]) -> None:
    try:
        side = make(*given)
        there.send((True, None))
        while there.recv():
            there.send((True, side()))
    except Exception as error:  # the other process says what it was
        there.send((False, f"{type(error).__name__}: {error}"))
