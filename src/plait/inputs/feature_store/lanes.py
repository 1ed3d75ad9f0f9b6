"""Several forwards at once on a CPU, each with its share of the threads.

A forward of a few items keeps many threads waiting for each other between its operations, and one of them waits longest
where a decoder has taken its core. Two forwards side by side, each on one thread, wait for nobody. Results come in the
order of the batches.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from plait.data.memory import most_forward_bytes
from plait.encoders.engine import is_proven

MOST_LANES = 4  # each holds the activations of a batch

_MAKING = threading.Lock()
_made: dict[tuple[int, int], ThreadPoolExecutor] = {}  # by lanes and threads of each

Given = TypeVar("Given")
Made = TypeVar("Made")


def num_lanes(encoder: torch.nn.Module, device: torch.device, budget: int) -> int:
    """How many forwards of an encoder may run side by side.

    The most, up to four, that leave no more than one thread without work. One on an accelerator, where the bound of
    memory has no room for several, and for an encoder that is not of a family that is tested: its forward may keep
    something in the module.

    Args:
        encoder: The encoder.
        device: Where it works.
        budget: Bytes of the padded inputs of one batch.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2 or not is_proven(encoder):
        return 1
    most = next(count for count in range(min(MOST_LANES, threads), 1, -1) if threads % count <= 1)
    return most if most_forward_bytes(most * budget) == most * budget else 1


def in_lanes(work: Callable[[Given], Made], given: Iterator[Given], count: int) -> Generator[tuple[Given, Made]]:
    """What is given and what became of it, in order; one more is taken than there are lanes, so that none is idle.

    Args:
        work: Called in a thread of its own, whose operations use a share of PyTorch's threads.
        given: Asked for the next in the thread of the caller.
        count: Lanes, no more than PyTorch has threads; with one the caller's own thread does the work.
    """
    if count == 1:
        for one in given:
            yield one, work(one)
        return
    pool = _lanes(count, torch.get_num_threads() // count)
    waiting: deque[tuple[Given, Future[Made]]] = deque()
    try:
        for one in given:
            waiting.append((one, pool.submit(work, one)))
            if len(waiting) > count:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        left = [made for _, made in waiting if not made.cancel()]
        wait(left)


def _first(waiting: deque[tuple[Given, Future[Made]]]) -> tuple[Given, Made]:
    one, made = waiting.popleft()
    return one, made.result()


def _lanes(count: int, share: int) -> ThreadPoolExecutor:
    """Threads that have so many of PyTorch's threads each; they are made once a process and serve all who ask.

    PyTorch sets the number of a thread and, with it, that of every thread that begins later. So it is set while nobody
    else does here, and put back, as it was for threads that begin, by a thread that has no other use.
    """
    with _MAKING:
        if (count, share) not in _made:
            usual = _in_new_thread(torch.get_num_threads)
            pool = ThreadPoolExecutor(count, thread_name_prefix="plait-encode")
            there = threading.Barrier(count)
            try:
                for lane in [pool.submit(_take_share, share, there) for _ in range(count)]:
                    lane.result()
            finally:
                _in_new_thread(lambda: torch.set_num_threads(usual))
            _made[count, share] = pool
        return _made[count, share]


def _take_share(share: int, there: threading.Barrier) -> None:
    """Set the number of this thread, and wait for the others, so that each lane does so."""
    try:
        torch.set_num_threads(share)
        torch.get_num_threads()  # PyTorch settles a thread's number when it is first asked for
    except BaseException:
        there.abort()
        raise
    there.wait()


def _in_new_thread(ask: Callable[[], Made]) -> Made:
    with ThreadPoolExecutor(1) as one:
        return one.submit(ask).result()


def _forget() -> None:
    """A process that was forked has none of these threads."""
    global _MAKING
    _MAKING = threading.Lock()
    _made.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
